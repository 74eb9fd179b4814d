package alert

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Why a document was refused. Each such error is a [playlist.ErrInvalid] too:
// it is made of [say.Message] and fit for an operator's screen.
var (
	ErrInvalid   = errors.New("breaks its schema")
	ErrUnknown   = errors.New("neither CAP nor EBD")
	ErrTooLarge  = errors.New("too large")
	ErrTruncated = errors.New("cut short")
	ErrForbidden = errors.New("holds a document type or entities")
	ErrMissing   = errors.New("lacks what it needs")
)

// refusal is one of those errors, with all that was found.
type refusal struct {
	why    error
	faults []say.Message
}

func refuse(why error, faults ...say.Message) error { return &refusal{why, faults} }

// maxFaults bounds what one refusal tells.
const maxFaults = 40

func (r *refusal) Error() string {
	lines := make([]string, len(r.faults))
	for i, f := range r.faults {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "; ")
}

func (r *refusal) Is(target error) bool { return target == r.why || target == playlist.ErrInvalid }

// Unwrap hands out the single faults, for [say.In].
func (r *refusal) Unwrap() []error {
	all := make([]error, len(r.faults))
	for i, f := range r.faults {
		all[i] = f
	}
	return all
}

// report collects what is wrong with a document while it is read.
type report struct {
	faults   []say.Message
	warnings []say.Message // slips of a known dialect
	notes    []say.Message // no slips, but worth knowing
}

func (r *report) bad(key string, args ...any) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, say.M(key, args...))
	}
}

func (r *report) warn(key string, args ...any) {
	if len(r.warnings) < maxFaults {
		r.warnings = append(r.warnings, say.M(key, args...))
	}
}

func (r *report) note(key string, args ...any) {
	if len(r.notes) < maxFaults {
		r.notes = append(r.notes, say.M(key, args...))
	}
}

// err is the refusal of all faults, nil where there are none.
func (r *report) err(why error) error {
	if len(r.faults) == 0 {
		return nil
	}
	return refuse(why, r.faults...)
}

// shown makes a stranger's text fit to stand in a message: printable, and no
// more than 60 characters.
func shown(s string) string {
	var b strings.Builder
	for n, r := range []rune(s[:min(len(s), 400)]) {
		if n == 60 {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mib is a number of bytes for people.
func mib(n int64) string { return fmt.Sprintf("%.3g MiB", float64(n)/(1<<20)) }
