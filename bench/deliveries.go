package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// deliveries is make bench-sink: the sink and the bare client by turns, and nothing else.
func deliveries(ctx context.Context, p part, out io.Writer) error {
	r := newReport(p, out)
	var err error
	if r.broker, err = startBroker(ctx); err != nil {
		return err
	}
	defer r.broker.stop()
	r.Brokers = r.broker.address
	return r.deliveries(ctx)
}

// deliveries runs the sink and the bare client against a receiver beside the broker.
func (r *report) deliveries(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd, err := child(ctx, "receiver", r.part)
	if err != nil {
		return err
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { stop(); _ = cmd.Wait() }() // it was ended by stop
	url, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		return fmt.Errorf("start the receiver: %w", err)
	}
	r.Receiver = strings.TrimSpace(url)
	r.line("\nwebhooks: %d of %d bytes, signed, %d at a time; receiver and broker on core %d", r.Deliver, len(bodyAt(0)), inFlight, brokerCore)
	var cpu, pace []float64 // of the sink by the bare client's, round by round
	for r.rounds = range r.Rounds {
		c, s, err := r.deliveryRound(ctx)
		if err != nil {
			return err
		}
		cpu, pace = append(cpu, s.CPU/c.CPU), append(pace, c.Wall/s.Wall)
	}
	s, c := r.best["sink"], r.best["bare client"]
	r.line("sink / bare client, the best of each     %.2f times its CPU, %.2f of its deliveries/s   goal: at most 1.6 times", s.CPU/c.CPU, c.Wall/s.Wall)
	r.line("sink / bare client, the median of rounds %.2f times its CPU, %.2f of its deliveries/s", median(cpu), median(pace))
	return nil
}

func (r *report) deliveryRound(ctx context.Context) (client, sink *figures, err error) {
	if client, err = measured(ctx, "client", r.part); err != nil {
		return nil, nil, err
	}
	r.keep("bare client", client)
	p := r.part
	p.Prefix = fmt.Sprintf("s%d", r.rounds)
	if err := makeTopics(ctx, r.Brokers, p.Prefix); err != nil {
		return nil, nil, err
	}
	if err := r.broker.preloadFires(ctx, p.Prefix, p.Deliver); err != nil {
		return nil, nil, err
	}
	if sink, err = r.onKafka(ctx, "sink", "sink", p); err != nil {
		return nil, nil, err
	}
	return client, sink, nil
}

// median is the middle one, the lower of two.
func median(list []float64) float64 {
	slices.Sort(list)
	return list[(len(list)-1)/2]
}
