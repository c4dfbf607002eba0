package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	kafkatest "vigil/flowtest/kafka"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"vigil": main}) }

// TestScripts drives the real main: each script of testdata is a session at a terminal.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"waits": waits,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			names := []string{"BROKER", "ADMIN", "RECEIVER"}
			port, err := kafkatest.FreePorts(len(names))
			for i, name := range names {
				env.Setenv(name, fmt.Sprint("127.0.0.1:", port+i))
			}
			return err
		},
	})
}

// exits CODE PROGRAM ARG... runs a program and wants just this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		got = failed.ExitCode()
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// waits PROGRAM ARG... runs a program again and again until it ends with 0; 2 minutes at most, for a busy machine is slow.
func waits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: waits PROGRAM ARG...")
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v, for 2 minutes", err)
		}
	}
}
