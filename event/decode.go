package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// MaxValueBytes bounds the value of a record.
const MaxValueBytes = 1 << 20

// Codes of an Error: the `x-reason-code` of a dead letter (interface 3).
const (
	CodeEmpty       = "empty"
	CodeTooLarge    = "too_large"
	CodeTooDeep     = "too_deep"
	CodeRegistry    = "schema_registry"
	CodeJSON        = "json_invalid"
	CodeCloudEvents = "cloudevents_invalid"
	CodeUserMissing = "user_missing"
	CodeUser        = "user_invalid"
	CodeTypeMissing = "type_missing"
	CodeType        = "type_invalid"
	CodeID          = "id_invalid"
	CodeTimeMissing = "time_missing" // only in a simulation file
	CodeTime        = "time_invalid"
	CodeProperties  = "properties_invalid"
	CodeProfile     = "profile_invalid"
)

// Fields are dotted paths into the payload; an empty User is the record key (interface 2).
type Fields struct{ User, Type, ID, Time, Properties string }

// Record is what the decoder needs of a Kafka record.
type Record struct {
	Key, Value []byte
	Header     func(name string) (value []byte, ok bool) // may be nil
	RT         int64                                     // ms since the epoch
	Topic      string
	Partition  int32
	Offset     int64
}

// Error says why a record is no event.
type Error struct {
	Code string // one of the codes above
	Msg  string
}

// Error is the code and what was found.
func (e *Error) Error() string { return e.Code + ": " + e.Msg }

func wrong(code, format string, args ...any) error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Decoder turns records into events. It has one caller at a time.
type Decoder struct {
	fields      Fields
	cloudEvents bool // what a record without content-type is
	doc         Reader
	inner       Reader            // of the data of a CloudEvent that are on their own
	none        Value             // {}
	names       map[string]string // event types, one string each
	ev          Event
}

// NewDecoder makes a decoder; format is json or cloudevents, and says what a record is whose headers do not.
func NewDecoder(fields Fields, format string) *Decoder {
	d := &Decoder{fields: fields, cloudEvents: format == "cloudevents"}
	d.prepare()
	return d
}

func (d *Decoder) prepare() {
	d.names = map[string]string{}
	d.none, _ = ParseValue([]byte("{}")) // valid as it stands
}

// Decode turns one record into an event, or says why not with an *Error. The event lives until the next Decode, and as
// long as the bytes of the record stay as they are.
func (d *Decoder) Decode(r Record) (*Event, error) {
	d.ev = Event{RT: r.RT}
	p, err := d.parts(r)
	if err == nil {
		err = d.fill(r, p)
	}
	if err != nil {
		return nil, err
	}
	return &d.ev, nil
}

// DecodeProfile reads a record of a profiles topic, whose value is the user's whole profile; that of a tombstone is nil
// (interface 2). It errs with an *Error. The profile shares nothing with the record.
func (d *Decoder) DecodeProfile(r Record) (name string, profile []byte, err error) {
	name, err = user(parts{userBytes: r.Key})
	name = strings.Clone(name)
	if err != nil || r.Value == nil {
		return name, nil, err
	}
	doc, err := d.object(r.Value)
	if err != nil {
		return "", nil, err
	}
	return name, doc.AppendJSON(make([]byte, 0, len(r.Value))), nil
}

// bounds refuses a value that is not worth parsing.
func bounds(value []byte) error {
	if len(value) > MaxValueBytes {
		return wrong(CodeTooLarge, "the value has %d bytes, at most %d are read", len(value), MaxValueBytes)
	}
	if len(value) >= 5 && value[0] == 0 {
		return wrong(CodeRegistry, "the value is framed for a schema registry (schema %d), which is not read",
			binary.BigEndian.Uint32(value[1:5]))
	}
	return nil
}

// parts are the pieces of an event, whatever the format.
type parts struct {
	user      Value // where the payload names the user
	userBytes []byte
	kind      Value
	id        Value
	time      Value
	props     Value
}

// parts finds the pieces in a record of any format.
func (d *Decoder) parts(r Record) (parts, error) {
	switch mode, err := d.mode(r); {
	case err != nil:
		return parts{}, err
	case mode == binaryEvent:
		return d.binaryParts(r)
	case len(r.Value) == 0:
		return parts{}, wrong(CodeEmpty, "the record has no value")
	default:
		doc, err := d.object(r.Value)
		if err != nil {
			return parts{}, err
		}
		if mode == structuredEvent || mode == perhapsStructured && doc.Get("specversion").Present() {
			return d.structuredParts(r, doc)
		}
		return d.plainParts(r, doc), nil
	}
}

// object reads the JSON object that a value is.
func (d *Decoder) object(value []byte) (Value, error) {
	doc, err := readDocument(&d.doc, value)
	if err == nil && doc.Kind() != Object {
		err = wrong(CodeJSON, "the value is JSON, but not an object")
	}
	return doc, err
}

// readDocument reads any JSON within bounds.
func readDocument(r *Reader, value []byte) (Value, error) {
	if err := bounds(value); err != nil {
		return Value{}, err
	}
	v, err := r.read(value)
	switch {
	case errors.Is(err, errTooDeep):
		err = wrong(CodeTooDeep, "the value is %v", err)
	case err != nil:
		err = wrong(CodeJSON, "the value is not JSON: %v", err)
	}
	return v, err
}

func (d *Decoder) plainParts(r Record, doc Value) parts {
	p := parts{
		userBytes: r.Key,
		kind:      doc.Get(Path(d.fields.Type)),
		id:        doc.Get(Path(d.fields.ID)),
		time:      doc.Get(Path(d.fields.Time)),
		props:     doc.Get(Path(d.fields.Properties)),
	}
	if d.fields.User != "" {
		p.user, p.userBytes = doc.Get(Path(d.fields.User)), nil
	}
	return p
}

// fill makes the event of its pieces.
func (d *Decoder) fill(r Record, p parts) (err error) {
	if d.ev.User, err = user(p); err != nil {
		return err
	}
	if d.ev.Type, err = d.eventType(p.kind); err != nil {
		return err
	}
	if d.ev.ID, err = id(p.id); err != nil {
		return err
	}
	if d.ev.ID == "" {
		d.ev.ID = r.Topic + "/" + strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)
	}
	ts, given, err := instant(p.time, "time")
	if err != nil {
		return err
	}
	d.ev.clamp(ts, given)
	d.ev.Props, err = d.properties(p.props)
	return err
}

// clamp sets TS: an event without a time, or from too far ahead, has that of its record (semantics 2.1).
func (e *Event) clamp(ts int64, given bool) {
	e.TS = e.RT
	e.Skewed = given && ts > e.RT && ts-e.RT > MaxSkewMillis
	if given && !e.Skewed {
		e.TS = ts
	}
}

func user(p parts) (string, error) {
	text := p.userBytes
	if p.user.Present() {
		if p.user.Kind() != String {
			return "", wrong(CodeUser, "the user must be a text")
		}
		text = p.user.Bytes()
	}
	switch {
	case len(text) == 0:
		return "", wrong(CodeUserMissing, "the record names no user")
	case len(text) > MaxUserBytes:
		return "", wrong(CodeUser, "the user has %d bytes, at most %d are allowed", len(text), MaxUserBytes)
	case !utf8.Valid(text):
		return "", wrong(CodeUser, "the user is not valid UTF-8")
	}
	return unsafe.String(&text[0], len(text)), nil
}

// maxNames bounds the memory of type names; types beyond it are as good, only slower.
const maxNames = 4096

func (d *Decoder) eventType(v Value) (string, error) {
	if !v.Present() {
		return "", wrong(CodeTypeMissing, "the event has no type")
	}
	name := v.Bytes()
	if len(name) == 0 {
		return "", wrong(CodeType, "the type must be a text that is not empty")
	}
	if known, ok := d.names[string(name)]; ok {
		return known, nil
	}
	fresh := string(name)
	if len(d.names) < maxNames && len(fresh) <= MaxUserBytes {
		d.names[fresh] = fresh
	}
	return fresh, nil
}

// id is the payload's id; empty where there is none.
func id(v Value) (string, error) {
	switch v.Kind() {
	case Missing, Null:
		return "", nil
	case String:
		return v.Text(), nil
	case Number:
		return v.NumberText(), nil
	default:
		return "", wrong(CodeID, "the id must be a text or a number")
	}
}

func instant(v Value, what string) (ms int64, given bool, err error) {
	if !v.Present() {
		return 0, false, nil
	}
	ms, ok := ParseTime(v)
	if !ok {
		found := v.AppendJSON(nil)
		return 0, true, wrong(CodeTime, "%s must be RFC 3339 with an offset, or epoch seconds or milliseconds, not %s", what,
			strings.ToValidUTF8(string(found[:min(len(found), 64)]), ""))
	}
	return ms, true, nil
}

func (d *Decoder) properties(v Value) (Value, error) {
	if !v.Present() {
		v = d.none
	}
	if v.Kind() != Object {
		return Value{}, wrong(CodeProperties, "properties must be an object")
	}
	if d.ev.Type == TypeProfile {
		return v, checkProfile(v)
	}
	return v, nil
}

// checkProfile checks the payload of a $profile event (semantics 2.6); set and unset may be absent or null.
func checkProfile(v Value) error {
	set, unset := v.Get("set"), v.Get("unset")
	if set.Present() && set.Kind() != Object {
		return wrong(CodeProfile, "set must be an object")
	}
	if unset.Present() && unset.Kind() != List {
		return wrong(CodeProfile, "unset must be a list of names")
	}
	for name := range unset.Elements() {
		if name.Kind() != String {
			return wrong(CodeProfile, "unset must be a list of names")
		}
	}
	return nil
}
