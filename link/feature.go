package link

import (
	"slices"

	"dalaba/playlist"
)

// Feature is something that a document of this program can hold and that release
// 0.1 does not know: a field, or a new value of one. A controller that does not
// know it refuses a manifest that has it, whole.
type Feature struct {
	// Name is what a controller says in [Health.Understands]. It is a token and
	// never gets another meaning. A field's is its path: manifest-slots-chime.
	Name string

	// InManifest reports whether a manifest has it; nil if none can.
	InManifest func(playlist.Manifest) bool

	// LeaveOut takes it out of an alert and reports whether it was there; nil if
	// no alert can have it. It replaces slices and never changes their elements:
	// others hold them too.
	LeaveOut func(*AlertInForce) bool
}

// features is the closed list. A change that adds a field to
// [playlist.Manifest], [AlertsState] or what they hold adds its feature here.
// Release 0.1 knows all that these documents can hold today.
var features = []Feature{}

// Features lists the features that this program knows, for a county.
func Features() []Feature { return slices.Clone(features) }

// Understood lists their names, for a controller to say.
func Understood() []string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = f.Name
	}
	return names
}
