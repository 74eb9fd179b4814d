package alert

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// The reasons to refuse a document. Each such error is a [playlist.ErrInvalid] too:
// its text consists of [say.Message] and may be shown to an operator.
var (
	ErrInvalid   = errors.New("breaks its schema")
	ErrUnknown   = errors.New("neither CAP nor EBD")
	ErrTooLarge  = errors.New("too large")
	ErrTruncated = errors.New("cut short")
	ErrForbidden = errors.New("holds a document type or entities")
	ErrMissing   = errors.New("lacks what it needs")
)

// refusal is the error for a refused document: the reason and all faults found.
type refusal struct {
	why    error
	faults []say.Message
}

func refuse(why error, faults ...say.Message) error { return &refusal{why, faults} }

// maxFaults is the largest number of faults that are reported of one document.
const maxFaults = 40

func (r *refusal) Error() string {
	lines := make([]string, len(r.faults))
	for i, f := range r.faults {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "; ")
}

func (r *refusal) Is(target error) bool { return target == r.why || target == playlist.ErrInvalid }

// Unwrap returns the single faults, for [say.In].
func (r *refusal) Unwrap() []error {
	all := make([]error, len(r.faults))
	for i, f := range r.faults {
		all[i] = f
	}
	return all
}

// report collects the faults of a document while it is read.
type report struct {
	faults   []say.Message
	warnings []say.Message // differences from the schema that are tolerated
	notes    []say.Message // no differences, but worth knowing
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

// err returns the refusal with all faults, or nil if there are none.
func (r *report) err(why error) error {
	if len(r.faults) == 0 {
		return nil
	}
	return refuse(why, r.faults...)
}

// printable returns text of a document for use in a message: without unprintable
// characters, and cut after 60 characters.
func printable(s string) string {
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

// mib writes a number of bytes in MiB.
func mib(n int64) string { return fmt.Sprintf("%.3g MiB", float64(n)/(1<<20)) }
