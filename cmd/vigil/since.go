package main

import (
	"time"

	"vigil/campaign"
)

// since is a flag for a time in the past: RFC 3339, or how long ago, such as 2h.
type since time.Time

// Set reads a time.
func (s *since) Set(text string) error {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		*s = since(t)
		return nil
	}
	ms, err := campaign.ParseDuration(text)
	if err != nil {
		return usagef("%q is neither an RFC 3339 time nor how long ago, such as 2h", text)
	}
	*s = since(time.Now().Add(-time.Duration(ms) * time.Millisecond))
	return nil
}

// String is the time; empty where none is set.
func (s *since) String() string {
	if time.Time(*s).IsZero() {
		return ""
	}
	return time.Time(*s).UTC().Format(time.RFC3339)
}

// Type names the kind of value in the help.
func (s *since) Type() string { return "time" }
