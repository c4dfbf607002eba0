package egress

import (
	"fmt"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"vigil/sink/guard"
)

// backlogRows fill the queue of connections that nobody accepts: the kernel then drops every SYN.
func backlogRows() []row {
	return []row{{name: "full SYN backlog", run: func(t *testing.T) {
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
