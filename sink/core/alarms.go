package core

import (
	"container/heap"
	"slices"
	"time"
)

// Alarms are things to do at a time, the earliest first. The zero value is empty.
type Alarms[T any] struct{ heap alarmHeap[T] }

// alarm is one thing to do.
type alarm[T any] struct {
	at    time.Time
	thing T
}

// Add sets an alarm.
func (a *Alarms[T]) Add(at time.Time, thing T) { heap.Push(&a.heap, alarm[T]{at, thing}) }

// Next is the time of the earliest alarm; false where there is none.
func (a *Alarms[T]) Next() (time.Time, bool) {
	if len(a.heap) == 0 {
		return time.Time{}, false
	}
	return a.heap[0].at, true
}

// Due takes the earliest alarm that is not after now.
func (a *Alarms[T]) Due(now time.Time) (thing T, ok bool) {
	if len(a.heap) == 0 || a.heap[0].at.After(now) {
		return thing, false
	}
	return heap.Pop(&a.heap).(alarm[T]).thing, true
}

// Drop forgets the alarms of what is gone.
func (a *Alarms[T]) Drop(gone func(T) bool) {
	a.heap = slices.DeleteFunc(a.heap, func(e alarm[T]) bool { return gone(e.thing) })
	heap.Init(&a.heap)
}

// alarmHeap implements heap.Interface.
type alarmHeap[T any] []alarm[T]

func (h alarmHeap[T]) Len() int           { return len(h) }
func (h alarmHeap[T]) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarmHeap[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *alarmHeap[T]) Push(x any)        { *h = append(*h, x.(alarm[T])) }
func (h *alarmHeap[T]) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = alarm[T]{}
	*h = old[:len(old)-1]
	return last
}
