// Command vigil watches what users do on Kafka topics and sends a webhook when a campaign says so. This room is the
// command line: it reads flags, builds the rooms and runs them. It decides nothing itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:])) }

// run is the whole program; it returns the exit code of interface 1.
func run(args []string) int {
	ctx, stop := catchSignals(context.Background())
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var by caught
	interrupted := errors.As(context.Cause(ctx), &by) && by.signal == os.Interrupt
	stopped := ctx.Err() != nil && (errors.As(err, &by) || errors.Is(err, context.Canceled))
	if err != nil && err.Error() != "" && !stopped {
		fmt.Fprintln(os.Stderr, "vigil: "+err.Error())
	}
	switch {
	case interrupted:
		return exitInterrupted
	case err != nil:
		return exitCode(err)
	default:
		return 0
	}
}

// caught is the cause of a context that a signal ended.
type caught struct{ signal os.Signal }

func (c caught) Error() string { return c.signal.String() }

// catchSignals ends the context at the first ^C or SIGTERM; the second one kills, as if it had never been caught.
func catchSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(caught{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}
