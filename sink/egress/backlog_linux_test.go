package egress

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"vigil/sink/guard"
)

// backlogRows run out of descriptors, and fill the queue of connections that nobody accepts: the kernel then drops every SYN.
func backlogRows() []row {
	return []row{{name: "no descriptors left", run: withoutDescriptors}, {name: "full SYN backlog", run: func(t *testing.T) {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Close(fd) }()
		if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Listen(fd, 0); err != nil {
			t.Fatal(err)
		}
		bound, err := syscall.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		port := bound.(*syscall.SockaddrInet4).Port
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		for n := 0; ; n++ { // until one is not taken any more
			conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
			if err != nil {
				break
			}
			defer conn.Close()
			if n > 64 {
				t.Skip("this kernel takes every connection")
			}
		}
		start := time.Now()
		require(t, attemptWithin(t, openSender(t), fmt.Sprintf("http://%s/", address), patience), "retryable timeout")
		if took := time.Since(start); took > guard.DialTimeout+3*time.Second {
			t.Errorf("took %v", took)
		}
	}}}
}

const limitVariable = "EGRESS_TEST_DESCRIPTORS"

// withoutDescriptors runs TestNoDescriptors in a process of its own, which may then run out of them.
func withoutDescriptors(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoDescriptors$", "-test.v")
	cmd.Env = append(os.Environ(), limitVariable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestNoDescriptors")) {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestNoDescriptors is the child: a process that may open no more files spends no attempt, and sends again as soon as it may.
func TestNoDescriptors(t *testing.T) {
	if os.Getenv(limitVariable) == "" {
		t.Skip("run by the table in a process of its own")
	}
	f, s := serve(t, say(okHead+"Content-Length: 0\r\n\r\n")), openSender(t)
	require(t, attempt(t, s, f.url), "success 200")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3 // those are open: whatever is closed meanwhile, none below is free
	for _, step := range []struct {
		limit syscall.Rlimit
		want  string
	}{{none, "ours no_descriptors"}, {limit, "success 200"}} {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &step.limit); err != nil {
			t.Fatal(err)
		}
		require(t, attempt(t, s, f.url), step.want)
	}
}
