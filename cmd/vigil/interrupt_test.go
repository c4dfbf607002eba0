package main

import (
	"bytes"
	"context"
	"os"
	"testing"
)

// What a ^C has cut short is no finding: nothing is printed that could be taken for one.
func TestInterruptedLooks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "gone.yaml", "{name: gone, url: 'http://127.0.0.1:1', allow_http: true, allow_private: true}")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(caught{os.Interrupt})
	for _, args := range [][]string{{"doctor"}, {"endpoints", "test", "gone"}} {
		var out bytes.Buffer
		root := rootCommand()
		root.SetOut(&out)
		root.SetArgs(append(args, "-X", "kafka.brokers=127.0.0.1:1", "-X", "endpoints="+dir))
		if err := root.ExecuteContext(ctx); err != context.Cause(ctx) || out.Len() > 0 {
			t.Errorf("%v: %v\n%s", args, err, &out)
		}
	}
}
