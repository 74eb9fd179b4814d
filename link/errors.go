package link

import (
	"errors"

	"dalaba/playlist/say"
)

// Everything that arrives from outside is refused with one of these errors.
var (
	ErrOversized = errors.New("larger than the protocol allows")
	ErrTruncated = errors.New("cut short")
	ErrMalformed = errors.New("not what the protocol says")
	ErrSignature = errors.New("not signed as the trust document demands")
	ErrWrongRole = errors.New("signed by a key that has another role")
	ErrWrongType = errors.New("a document of another kind")
	ErrNoTrust   = errors.New("no trust document yet")

	ErrWrongScope = errors.New("for a scope that is not followed here")
	ErrReplayed   = errors.New("this version is here already")
	ErrRolledBack = errors.New("an older version than the one here")
	ErrForked     = errors.New("another document under the version that is here")

	ErrUnknown  = errors.New("no such controller")
	ErrDisabled = errors.New("the controller is disabled")
	ErrImposter = errors.New("the message names another than its sender")
	ErrGap      = errors.New("receipts are missing before these")
	ErrTaken    = errors.New("the numbers of these receipts are those of other receipts")

	ErrCode     = errors.New("no such enrolment code")
	ErrCodeUsed = errors.New("the enrolment code belongs to another key")
	ErrProof    = errors.New("the proof of the enrolment code is wrong")
	ErrRefused  = errors.New("the county refused the enrolment")
	ErrBusy     = errors.New("the county is asked too often")
	ErrPending  = errors.New("the county has not approved the enrolment yet")
)

// fault is an error with a message for people (msg) and a sentinel that callers
// test for (is).
type fault struct {
	is  error
	msg say.Message
}

func (f fault) Error() string        { return f.msg.Error() }
func (f fault) Unwrap() error        { return f.msg }
func (f fault) Is(target error) bool { return errors.Is(f.is, target) }
