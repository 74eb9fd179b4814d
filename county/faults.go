package county

import (
	"errors"
	"fmt"
	"strings"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// fault is an error that a person reads and a caller decides on.
type fault struct {
	is  error
	msg say.Message
}

func (f fault) Error() string        { return f.msg.Error() }
func (f fault) Unwrap() error        { return f.msg }
func (f fault) Is(target error) bool { return errors.Is(f.is, target) }

func invalid(key string, args ...any) error { return fault{playlist.ErrInvalid, say.M(key, args...)} }

// missing puts into words that the store does not have something.
func missing(err error, key string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault{store.ErrNotFound, say.M(key, args...)}
	}
	return err
}

// plain is a name without what would break a line.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

// nameAndID is a controller as a person knows it.
func nameAndID(k store.Controller) string {
	if k.Name == "" {
		return string(k.ID)
	}
	return fmt.Sprintf("%s (%s)", plain(k.Name), k.ID)
}
