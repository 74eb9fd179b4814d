package link

import (
	"slices"

	"dalaba/playlist"
)

// Feature is something that a document of this program can hold and that release
// 0.1 does not know: a field, or a new value of one. A controller that does not
// know it refuses the whole manifest that has it.
type Feature struct {
	// Name is what a controller lists in [Health.Understands]. It is a token and
	// its meaning never changes. The name of a field is its path, such as
	// manifest-slots-chime.
	Name string

	// InManifest reports whether a manifest has it; nil if none can.
	InManifest func(playlist.Manifest) bool

	// LeaveOut removes it from an alert and reports whether the alert had it; nil
	// if no alert can have it. It replaces slices and never changes their
	// elements, because other copies of the alert share them.
	LeaveOut func(*AlertInForce) bool

	// InMember says that it is a field of a member document, which the county leaves out
	// for a controller that does not know it.
	InMember bool

	// InStamp says that it is a field of a stamp. A controller of release 0.1 refuses a
	// stamp that has it, and with it the county's time and marks.
	InStamp bool
}

// The features of [Member.Hears] and [Member.County].
const (
	MemberHears  = "member-hears"
	MemberCounty = "member-county"
)

// stampInForce is the feature of [Stamp.InForce].
const stampInForce = "stamp-in-force"

// features lists all features. A change that adds a field to
// [playlist.Manifest], to [AlertsState] or to a type within them adds its
// feature here.
var features = []Feature{
	// Slots of workdays or holidays: days above 127.
	{Name: "manifest-slots-days-calendar", InManifest: func(m playlist.Manifest) bool {
		return slices.ContainsFunc(m.Slots, func(s playlist.Slot) bool { return s.Days.ByCalendar() })
	}},
	// A slot that airs in the place of those of its name of wider scopes.
	{Name: "manifest-slots-instead", InManifest: func(m playlist.Manifest) bool {
		return slices.ContainsFunc(m.Slots, func(s playlist.Slot) bool { return s.Instead })
	}},
	{Name: "manifest-exceptions", InManifest: func(m playlist.Manifest) bool { return len(m.Exceptions) > 0 }},
	{Name: stampInForce, InStamp: true},
	{Name: MemberHears, InMember: true},
	{Name: MemberCounty, InMember: true},
}

// Features returns the features that this program knows. The county uses them.
func Features() []Feature { return slices.Clone(features) }

// Understood returns the names of the features that this program knows. A
// controller sends them in [Health.Understands].
func Understood() []string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = f.Name
	}
	return names
}
