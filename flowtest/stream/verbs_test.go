package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/calendar"
)

// verb does one command. What it returns is for want.
type verb func(s *stage, c *command) ([]string, error)

func verbs() map[string]verb {
	return map[string]verb{
		"campaign": func(s *stage, c *command) ([]string, error) {
			return nil, s.setCampaign(strings.Join(c.block, "\n") + "\n")
		},
		"status": func(s *stage, c *command) ([]string, error) {
			id, status, _ := strings.Cut(c.rest, " ")
			return nil, s.setStatus(id, status)
		},
		"delete": func(s *stage, c *command) ([]string, error) { return nil, s.deleteCampaign(c.rest) },
		"start":  start,
		"stop":   stop,
		"restart": func(s *stage, c *command) ([]string, error) {
			_, err := stop(s, c)
			_, err2 := start(s, c)
			return nil, errors.Join(err, err2)
		},
		"wipe":     wipe,
		"event":    sendEvent,
		"record":   sendRecord,
		"fetches":  fetches,
		"advance":  advance,
		"receiver": receive,
		"want":     want,
	}
}

func start(s *stage, c *command) ([]string, error) {
	return nil, forParts(c.rest, s.startProcessor, s.startSink)
}

func stop(s *stage, c *command) ([]string, error) {
	return nil, forParts(c.rest, s.stopProcessor, s.stopSink)
}

// forParts calls what a name of a part stands for.
func forParts(name string, processor, sink func()) error {
	switch name {
	case "processor":
		processor()
	case "sink":
		sink()
	case "":
		processor()
		sink()
	default:
		return fmt.Errorf("no part is named %q", name)
	}
	return nil
}

func wipe(s *stage, c *command) ([]string, error) {
	if c.rest != "disk" || s.processor != nil {
		return nil, errors.New("wipe disk, with the processor stopped")
	}
	s.wipeDisk()
	return nil, nil
}

func advance(s *stage, c *command) ([]string, error) {
	ms, err := calendar.ParseDuration(c.rest)
	if err == nil {
		s.pass(time.Duration(ms) * time.Millisecond)
	}
	return nil, err
}

// fetches is for long timelines: to wait for records is most of what idle parts do.
func fetches(s *stage, c *command) ([]string, error) {
	ms, err := calendar.ParseDuration(c.rest)
	s.opts = append(s.opts, kgo.FetchMaxWait(time.Duration(ms)*time.Millisecond))
	return nil, err
}

func receive(s *stage, c *command) ([]string, error) {
	words := strings.Fields(c.rest)
	switch {
	case len(words) == 1 && words[0] == "hangs":
		s.receiver.answer(words)
	case len(words) > 1 && words[0] == "answers":
		s.receiver.answer(words[1:])
	default:
		return nil, errors.New("receiver hangs, or receiver answers STATUS...")
	}
	return nil, nil
}

// sendEvent writes one event, which is in the log when it returns.
func sendEvent(s *stage, c *command) ([]string, error) {
	e := sending{at: s.now}
	s.events++
	e.id = fmt.Sprint("e", s.events)
	rest, properties, _ := strings.Cut(c.rest, "{")
	if properties != "" {
		e.properties = json.RawMessage("{" + properties)
	}
	words := strings.Fields(rest)
	if len(words) < 2 {
		return nil, errors.New("event USER TYPE")
	}
	e.user, e.eventType = words[0], words[1]
	for _, option := range words[2:] {
		if err := e.option(option); err != nil {
			return nil, err
		}
	}
	return nil, s.send(e)
}

// sending is an event on its way to the input topic.
type sending struct {
	user, eventType, id string
	at                  time.Time // of the event
	ahead               time.Duration
	properties          json.RawMessage
}

func (e *sending) option(text string) error {
	name, value, _ := strings.Cut(text, "=")
	if name == "id" {
		e.id = value
		return nil
	}
	ms, err := calendar.ParseDuration(value)
	d := time.Duration(ms) * time.Millisecond
	switch name {
	case "ago":
		e.at = e.at.Add(-d)
	case "ahead":
		e.ahead = d
	default:
		return fmt.Errorf("no option is named %q", name)
	}
	return err
}

// value is the event as JSON.
func (e sending) value() ([]byte, error) {
	v := map[string]any{"type": e.eventType, "id": e.id, "time": e.at.UTC().Format("2006-01-02T15:04:05.000Z")}
	if e.ahead > 0 {
		delete(v, "time") // its time is the record's
	}
	if e.properties != nil {
		v["properties"] = e.properties
	}
	return json.Marshal(v)
}

func (s *stage) send(e sending) error {
	value, err := e.value()
	if err != nil {
		return err
	}
	return s.produce(&kgo.Record{Key: []byte(e.user), Value: value, Timestamp: s.now.Add(e.ahead)})
}

// sendRecord writes whatever it is given.
func sendRecord(s *stage, c *command) ([]string, error) {
	user, value, _ := strings.Cut(c.rest, " ")
	return nil, s.produce(&kgo.Record{Key: []byte(user), Value: []byte(value), Timestamp: s.now})
}

// produce writes to the input topic, unless the record names another; it is in the log when it returns.
func (s *stage) produce(r *kgo.Record) error {
	if r.Topic == "" {
		r.Topic = input
	}
	err := s.client.ProduceSync(s.t.Context(), r).FirstErr()
	synctest.Wait()
	return err
}
