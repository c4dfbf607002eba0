package event

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
	Code string // the reason code of the dead letter, such as user_missing
	Msg  string
}

// Error is the reason on one line.
func (e *Error) Error() string { return e.Msg }

// Decoder turns records into events; it belongs to one worker.
type Decoder struct{}

// NewDecoder makes a decoder; format is json or cloudevents.
func NewDecoder(fields Fields, format string) *Decoder { panic("not built yet") }

// Decode turns one record into an event, or says why not with an *Error.
func (d *Decoder) Decode(r Record) (*Event, error) { panic("not built yet") }

// DecodeLine turns one line of a simulation file, counted from 0, into an event (semantics 5).
func (d *Decoder) DecodeLine(line []byte, n int) (*Event, error) { panic("not built yet") }
