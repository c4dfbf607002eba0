package trigger

import (
	"errors"
	"fmt"
)

// ErrNewer is wrapped by errors about a record of a version that this program does not know yet.
var ErrNewer = errors.New("the record was written by a newer vigil")

// newer is the error of a record's version.
func newer(version byte) error {
	return fmt.Errorf("%w: it has version %d, this program knows %d", ErrNewer, version, recordVersion)
}

// RecordError says that a user's record cannot be read; nothing but that record is wrong.
type RecordError struct {
	User string
	Err  error
}

func (e *RecordError) Error() string { return fmt.Sprintf("the record of user %q: %v", e.User, e.Err) }

// Unwrap is what is wrong with the record.
func (e *RecordError) Unwrap() error { return e.Err }
