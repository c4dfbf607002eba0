package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// moves fills two partitions with a million users each, lets a second processor join and measures how long the partition
// that moves is silent; then it rebuilds both from the changelog alone.
func moves(ctx context.Context, l *lab, s scale) error {
	r, err := l.newTrial(ctx, "move", 2, s.Users, buyCampaign, cartCampaign)
	if err != nil {
		return err
	}
	a, err := r.join("a")
	if err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return err
	}
	r.flow(ctx)
	if err := r.steadyFires(ctx, time.Now()); err != nil {
		return err
	}
	b, err := r.handOver(ctx, s)
	if err != nil {
		return err
	}
	a.stop()
	b.stop()
	if err := r.rebuild(ctx); err != nil {
		return err
	}
	return r.end()
}

// handOver starts a second processor and waits until it has a partition.
func (r *trial) handOver(ctx context.Context, s scale) (*member, error) {
	r.watch.restart()
	joined := time.Now()
	b, err := r.join("b")
	if err != nil {
		return nil, err
	}
	var mine []int32
	if err := r.await(ctx, "a partition moves", 2*time.Minute, func() (bool, error) {
		mine, err = r.owned(ctx, "b")
		return len(mine) == 1, err
	}); err != nil {
		return nil, err
	}
	if err := r.await(ctx, "the moved partition is restored", 2*time.Minute, func() (bool, error) {
		for _, line := range r.restores(joined) {
			if line.name == "b" {
				return true, nil
			}
		}
		return false, nil
	}); err != nil {
		return nil, err
	}
	if err := r.steadyFires(ctx, time.Now()); err != nil {
		return nil, err
	}
	moved := r.largestGap(joined, func(p int32) bool { return p == mine[0] })
	r.row(fmt.Sprintf("hand-over of a partition with %d users between two live processors: longest silence of its fires", s.Users),
		round(moved).String(), "<= 3 s", moved <= moveGoal)
	r.row("the same, of the partition that stays", round(r.largestGap(joined, func(p int32) bool { return p != mine[0] })).String(), "", true)
	r.row("time from the start of the second processor until it decides", round(time.Since(joined)).String(), "", true)
	return b, nil
}

// rebuild starts a processor whose disk is empty.
func (r *trial) rebuild(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(r.stateOf(r.prefix, "a")), os.RemoveAll(r.stateOf(r.prefix, "b"))); err != nil {
		return err
	}
	began := time.Now()
	c, err := r.join("c")
	if err != nil {
		return err
	}
	var lines []restoreLine
	if err := r.await(ctx, "both partitions are rebuilt", 3*time.Minute, func() (bool, error) {
		lines = lines[:0]
		for _, line := range r.restores(began) {
			if line.name == "c" {
				lines = append(lines, line)
			}
		}
		return len(lines) == r.partitions, nil
	}); err != nil {
		return err
	}
	records, took := int64(0), 0.0
	for _, line := range lines {
		records += line.Tail
		took = max(took, line.Took)
	}
	rate := float64(records) / took * 1000
	r.row(fmt.Sprintf("full rebuild from the changelog, %d records in %d partitions", records, r.partitions),
		fmt.Sprintf("%.0f records/s", rate), ">= 300,000", rate >= buildGoal)
	c.stop()
	return nil
}
