package model

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vigil/event"
)

// ReadLines reads a simulation file.
func ReadLines(file string) ([]*Event, error) {
	var events []*Event
	for n, line := range strings.Split(file, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		e, err := readLine(n, line)
		if err != nil {
			return nil, fmt.Errorf("read line %d: %w", n+1, err)
		}
		events = append(events, e)
	}
	return events, nil
}

func readLine(n int, line string) (*Event, error) {
	var raw struct {
		User, Type                     string
		ID, Time, Received, Properties json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &raw); err != nil {
		return nil, err
	}
	e := &Event{User: raw.User, Type: raw.Type, ID: string(raw.ID)}
	if strings.HasPrefix(e.ID, `"`) {
		e.ID = ""
		if err := json.Unmarshal(raw.ID, &e.ID); err != nil {
			return nil, err
		}
	}
	if e.ID == "" || e.ID == "null" && string(raw.ID) == "null" {
		e.ID = "file/0/" + strconv.Itoa(n)
	}
	var timed, received bool
	var err error
	if e.TS, timed, err = readTime(raw.Time); err != nil {
		return nil, err
	}
	if e.RT, received, err = readTime(raw.Received); err != nil {
		return nil, err
	}
	if !received {
		e.RT = e.TS
	}
	if !timed {
		e.TS = e.RT
	}
	if len(raw.Properties) == 0 {
		raw.Properties = []byte("{}")
	}
	e.Props, err = event.ParseValue(raw.Properties)
	return e, err
}

func readTime(raw json.RawMessage) (int64, bool, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, false, nil
	}
	if raw[0] != '"' {
		n, err := strconv.ParseFloat(string(raw), 64)
		return epoch(n), true, err
	}
	t, err := time.Parse(time.RFC3339Nano, string(raw[1:len(raw)-1]))
	return t.UnixMilli(), true, err
}
