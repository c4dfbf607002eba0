package webhook

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// read takes in value where it is written as Encode writes it: every member, in that order, without space. It is
// false, with d half filled, for any other JSON, which encoding/json then reads: what both read means the same.
func (d *Delivery) read(value []byte) bool {
	r := reader{b: value, ok: true}
	d.V = int(r.int(`{"v":`))
	d.FireID = r.text(`,"fire_id":`)
	d.Campaign = r.text(`,"campaign":`)
	d.Revision = r.text(`,"revision":`)
	d.Run = r.text(`,"run":`)
	d.User = r.text(`,"user":`)
	d.Key = r.text(`,"key":`)
	r.time(`,"at":`, &d.At)
	r.time(`,"decided_at":`, &d.DecidedAt)
	d.LateByMS = r.int(`,"late_by_ms":`)
	d.ExpiresAt = r.maybeTime(`,"expires_at":`)
	if r.next(`,"endpoint":`) {
		d.Endpoint = r.text("")
	}
	if r.next(`,"url":`) {
		d.URL = r.text("")
	}
	d.Method = r.text(`,"method":`)
	d.Path = r.text(`,"path":`)
	d.Headers = r.texts(`,"headers":`)
	d.Body = r.base64(`,"body":`)
	d.ContentType = r.text(`,"content_type":`)
	d.Source.Topic = r.text(`,"source":{"topic":`)
	partition := r.int(`,"partition":`)
	d.Source.Partition = int32(partition)
	d.Source.Offset = r.int(`,"offset":`)
	d.Attempt = int(r.int(`},"attempt":`))
	d.NotBefore = r.maybeTime(`,"not_before":`)
	d.RenderError = r.text(`,"render_error":`)
	r.want("}")
	return r.ok && len(r.b) == 0 && int64(d.Source.Partition) == partition
}

// reader takes members from the beginning of b. Once something is not as expected, ok is false and stays so. The text
// that it returns is copied: one that aliased b would keep the batch that the record came in.
type reader struct {
	b  []byte
	ok bool
}

// next skips text if it comes next.
func (r *reader) next(text string) bool {
	if len(r.b) < len(text) || string(r.b[:len(text)]) != text {
		return false
	}
	r.b = r.b[len(text):]
	return true
}

func (r *reader) want(text string) { r.ok = r.ok && r.next(text) }

// int reads a number of at most 18 digits.
func (r *reader) int(name string) int64 {
	r.want(name)
	n := 0
	if n < len(r.b) && r.b[n] == '-' {
		n++
	}
	first := n
	for n < len(r.b) && r.b[n] >= '0' && r.b[n] <= '9' {
		n++
	}
	digits := n - first
	if digits == 0 || digits > 18 || digits > 1 && r.b[first] == '0' {
		r.ok = false
		return 0
	}
	v, err := strconv.ParseInt(string(r.b[:n]), 10, 64)
	r.ok, r.b = r.ok && err == nil, r.b[n:]
	return v
}

// quoted reads a string and returns what stands between its quotes, valid until b changes; plain says that it has no
// escapes.
func (r *reader) quoted(name string) (text []byte, plain bool) {
	r.want(name)
	r.want(`"`)
	plain = true
	for i := 0; r.ok && i < len(r.b); i++ {
		switch c := r.b[i]; {
		case c == '"':
			text, r.b = r.b[:i], r.b[i+1:]
			return text, plain
		case c == '\\':
			plain = false
			i++
		case c < 0x20:
			r.ok = false
		}
	}
	r.ok = false
	return nil, true
}

func (r *reader) text(name string) string {
	text, plain := r.quoted(name)
	if plain {
		return string(text)
	}
	var s string
	whole := r.whole(text)
	r.ok = r.ok && json.Unmarshal(whole, &s) == nil
	return s
}

// whole is the quoted text with its quotes again.
func (r *reader) whole(text []byte) []byte {
	return append(append(append(make([]byte, 0, len(text)+2), '"'), text...), '"')
}

// texts reads an object of strings in ascending order of their names, so that none comes twice.
func (r *reader) texts(name string) map[string]string {
	r.want(name)
	r.want("{")
	m := map[string]string{}
	for last := ""; r.ok && !r.next("}"); {
		if len(m) > 0 {
			r.want(",")
		}
		key := r.text("")
		if len(m) > 0 && key <= last {
			r.ok = false
		}
		m[key], last = r.text(":"), key
	}
	return m
}

func (r *reader) base64(name string) []byte {
	text, plain := r.quoted(name)
	v := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(v, text)
	r.ok = r.ok && plain && err == nil
	return v[:n]
}

func (r *reader) time(name string, t *time.Time) {
	text, plain := r.quoted(name)
	r.ok = r.ok && plain && t.UnmarshalText(text) == nil
}

// maybeTime reads a time, or null as nil.
func (r *reader) maybeTime(name string) *time.Time {
	r.want(name)
	if r.next("null") {
		return nil
	}
	t := &time.Time{}
	r.time("", t)
	return t
}
