package playlist

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Area is a 12-digit administrative division code: province 2, prefecture 2,
// county 2, town 3, village 3. Trailing zero groups mean "all below".
type Area string

// ParseArea accepts 12 digits that begin with a province and leave no zero
// group before a later one that is not zero.
func ParseArea(s string) (Area, error) {
	if len(s) != 12 || strings.Trim(s, "0123456789") != "" {
		return "", fmt.Errorf("%w: area code %q: 12 digits wanted", ErrInvalid, s)
	}
	if s[0] == '0' {
		return "", fmt.Errorf("%w: area code %q: no province begins with 0", ErrInvalid, s)
	}
	zero := false
	for _, g := range []string{s[0:2], s[2:4], s[4:6], s[6:9], s[9:12]} {
		if strings.Trim(g, "0") == "" {
			zero = true
		} else if zero {
			return "", fmt.Errorf("%w: area code %q: a level above %q is empty", ErrInvalid, s, g)
		}
	}
	return Area(s), nil
}

// Covers reports whether a message for a concerns b: either holds the other.
func (a Area) Covers(b Area) bool {
	x, y := a.trim(), b.trim()
	return strings.HasPrefix(x, y) || strings.HasPrefix(y, x)
}

// Breadth is how many digits of the code name the area, trailing zero groups
// left out: the fewer, the larger it is.
func (a Area) Breadth() int { return len(a.trim()) }

func (a Area) trim() string {
	s := string(a)
	for _, n := range []int{9, 6, 4, 2} {
		if len(s) > n && strings.Trim(s[n:], "0") == "" {
			s = s[:n]
		}
	}
	return s
}

// Programme is all that a controller has been told to do: the site, its
// outputs, and what airs on them when.
type Programme struct {
	Site      Site
	Member    Area // that the county gave the controller; empty: it is not enrolled
	Outputs   []Output
	Quiet     []Quiet
	Dayparts  []Daypart
	Playlists []Playlist
	Slots     []Slot
	Alerts    AlertRules
	County    CountyRules
	Calendar  *Calendar // of the days off and worked; nil: none

	// Replaced are the county's slots that air on no output, because a narrower scope has
	// others in their place.
	Replaced []Slot

	// Versions are those of the county's manifests by which some output airs.
	Versions map[Scope]int64

	Lessons map[ClipID]ClipID // which clips are one lesson: see [Lineage.First]

	// CalendarFaulty is set if the site's lists of holidays cannot be read. Calendar is
	// the one that was in force before, if there was any.
	CalendarFaulty bool
}

// Playlist finds a playlist by name.
func (p *Programme) Playlist(name string) (Playlist, bool) {
	i := slices.IndexFunc(p.Playlists, func(l Playlist) bool { return l.Name == name })
	if i < 0 {
		return Playlist{}, false
	}
	return p.Playlists[i], true
}

// Uses returns the playlists that a clip is in.
func (p *Programme) Uses(id ClipID) []Playlist {
	return slices.DeleteFunc(slices.Clone(p.Playlists), func(l Playlist) bool { return !slices.Contains(l.Clips, id) })
}

// Slot finds a slot by name.
func (p *Programme) Slot(name string) (Slot, bool) {
	i := slices.IndexFunc(p.Slots, func(s Slot) bool { return s.Name == name })
	if i < 0 {
		return Slot{}, false
	}
	return p.Slots[i], true
}

// Output finds an output by name.
func (p *Programme) Output(name string) (Output, bool) {
	i := slices.IndexFunc(p.Outputs, func(o Output) bool { return o.Name == name })
	if i < 0 {
		return Output{}, false
	}
	return p.Outputs[i], true
}

// ClockSource is what makes a site's clock good enough for routine slots.
type ClockSource string

const (
	ClockNTP     ClockSource = "ntp"      // trusted once the kernel says it is synchronised
	ClockBattery ClockSource = "battery"  // the site declares its battery clock good
	ClockFile                = "file:"    // and a path: trusted while the file is there
	ClockCommand             = "command:" // and a program: trusted once it ends with success
)

// File is the path of a "file:" source, else empty.
func (c ClockSource) File() string { return c.behind(ClockFile) }

// Command is the program of a "command:" source, else empty.
func (c ClockSource) Command() string { return c.behind(ClockCommand) }

func (c ClockSource) behind(prefix string) string {
	rest, ok := strings.CutPrefix(string(c), prefix)
	if !ok {
		return ""
	}
	return rest
}

// Site is the place that a controller serves.
type Site struct {
	Name      string
	Area      Area
	Zone      *time.Location // the zone of every cron spec, quiet hour and date
	Language  string         // zh-CN or en
	DataDir   string
	Clock     ClockSource
	CeilingDB float64 // nothing below emergency sounds louder, -60 to 0 dB
}

// Output is one loudspeaker zone and what drives it.
type Output struct {
	Name       string
	Device     string // "auto", "plughw:CARD=x", "wav:file.wav", "null:"
	Area       Area
	Residents  int           // people within earshot
	LevelDB    float64       // 0 is full; set in the hardware if the device has a level
	ExtraDelay time.Duration // sound leaves the horn this much after the card
	CloseIdle  bool          // the device is closed while nothing is due, not fed silence
}
