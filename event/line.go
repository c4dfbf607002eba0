package event

import "bytes"

// LineDecoder reads a simulation file, one event a line (semantics 5). The zero LineDecoder is ready to use.
type LineDecoder struct {
	d        Decoder
	received int64 // the last one given
	any      bool  // whether there was one
}

// Decode turns one line, counted from 0, into an event; nil for a blank one. It errs with an *Error. RT is `received`,
// which must not go backwards, or ts where that is absent. The event lives until the next Decode.
func (l *LineDecoder) Decode(line []byte, n int64) (*Event, error) {
	line = bytes.Trim(line, " \t\r\n")
	if len(line) == 0 {
		return nil, nil
	}
	if l.d.names == nil {
		l.d.fields = Fields{User: "user", Type: "type", ID: "id", Time: "time", Properties: "properties"}
		l.d.prepare()
	}
	doc, err := l.d.object(line)
	if err != nil {
		return nil, err
	}
	p := l.d.plainParts(Record{}, doc)
	rt, err := l.recordTime(doc, p)
	if err != nil {
		return nil, err
	}
	l.d.ev = Event{RT: rt}
	if err := l.d.fill(Record{Topic: "file", Offset: n}, p); err != nil {
		return nil, err
	}
	return &l.d.ev, nil
}

func (l *LineDecoder) recordTime(doc Value, p parts) (int64, error) {
	rt, given, err := instant(doc.Get("received"), "received")
	if err != nil {
		return 0, err
	}
	if !given {
		ts, timed, err := instant(p.time, "time")
		if err == nil && !timed {
			err = wrong(CodeTimeMissing, "a line needs time or received")
		}
		return ts, err
	}
	if l.any && rt < l.received {
		return 0, wrong(CodeTime, "received goes backwards: %d after %d", rt, l.received)
	}
	l.received, l.any = rt, true
	return rt, nil
}
