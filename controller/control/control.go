// Package control is the daemon's control API: HTTP on a unix socket, for verbs and
// pages on the same machine.
//
// The socket is control.sock in /run/dalaba (or where systemd has the daemon put
// it: RUNTIME_DIRECTORY), else in the data folder or, if that disk takes none, in
// memory. Root, the owner of the data folder and the group dalaba may use it.
//
//	GET  /v1/status         [status.Status]
//	GET  /v1/state          [schedule.State]: what sounds, waits and is owed
//	POST /v1/reload         [Reload] in, [Reloaded] out; 422 if the config is refused
//	POST /v1/tone, /v1/play [hand.Order] in, a stream of [Sound] out
//	POST /v1/mic            a stream of [Sound]
//	POST /v1/stop           [Stop]: ends a sound, whose stream still brings its last line
//	POST /v1/alerts         a message's bytes in, [Taken] out; ?made=1: it was made at the site,
//	                        &retires=ID: in the place of that alert
//	POST /v1/alerts/cancel  [Cancel] in, [Taken] out
//	POST /v1/import         [Stick] in, a stream of [Carried] out
//	GET  /v1/alerts         the alerts that came, the latest first: a list of emergency.Record
//	GET  /v1/clips          [Shelf]
//	GET  /v1/log            ?after=ID&limit=N: a list of asrun.Event
//
// Texts for people are in the language of Accept-Language. A request names the
// data folder that it means in [DirHeader]: the daemon of another folder responds with 421.
package control

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"dalaba/controller/hand"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

// DirHeader is the request header with the data folder, an absolute path.
const DirHeader = "Dalaba-Data-Dir"

// Daemon is what the API drives.
type Daemon interface {
	Status(ctx context.Context, lang say.Lang) (status.Status, error)

	// State is what sounds, waits and is owed.
	State(ctx context.Context) schedule.State

	// Reload reads the config file again and puts it in force as a whole or, with
	// an error that lists the problems, not at all. Automatic means that only the
	// lists of clips are read again, by the config in force.
	Reload(ctx context.Context, automatic bool, lang say.Lang) (Reloaded, error)

	// Play sounds an order until it is over or ctx ends.
	Play(ctx context.Context, o hand.Order, report func(hand.Report)) (hand.Report, error)

	// SpeakLive opens the emergency microphone until ctx ends.
	SpeakLive(ctx context.Context, report func(hand.Report)) (hand.Report, error)

	// TakeAlert takes in the bytes of an emergency message handed in by hand.
	TakeAlert(ctx context.Context, raw []byte) (Taken, error)

	// TakeMade takes in the bytes of an alert that was made at the site, in the place
	// of the alerts of those IDs.
	TakeMade(ctx context.Context, raw []byte, retires []playlist.AlertID) (Taken, error)

	// CancelAlert ends an alert.
	CancelAlert(ctx context.Context, id playlist.AlertID) (Taken, error)

	// Alerts returns the alerts that came, the latest first.
	Alerts(ctx context.Context) ([]emergency.Record, error)

	// Clips returns what the library has.
	Clips(ctx context.Context) (Shelf, error)

	// Carry takes in what a stick from the county brings, and lays receipts on it.
	Carry(ctx context.Context, dir string, lang say.Lang) (Carried, error)

	// Events returns at most limit events of the device log after an ID, or the
	// last ones if it is 0.
	Events(ctx context.Context, after int64, limit int) ([]asrun.Event, error)
}

// Reload asks for the config to be read again.
type Reload struct {
	Config    string `json:"config"`    // absolute path; the daemon of another file refuses
	Automatic bool   `json:"automatic"` // clips have come or gone, or the site is enrolled: the file is not read
}

// Reloaded is the config now in force.
type Reloaded struct {
	Config    string   `json:"config"`
	SHA256    string   `json:"sha256"` // of the file as it was put in force
	Outputs   int      `json:"outputs"`
	Slots     int      `json:"slots"`
	NextStart []string `json:"next_start"`         // changed keys that take effect at the next start only
	Warnings  []string `json:"warnings,omitempty"` // in the request's language

	Changes []config.Change `json:"changes"` // nil: the daemon one version back does not say
}

// Sound is a line of the stream of a sound. The first has the ID, the last Over.
type Sound struct {
	hand.Report
	ID    string `json:"id,omitempty"` // to stop it
	Over  bool   `json:"over,omitempty"`
	Error string `json:"error,omitempty"` // why it did not sound to its end
}

// Stop ends a sound.
type Stop struct {
	ID string `json:"id"`
}

// Cancel ends an alert.
type Cancel struct {
	ID playlist.AlertID `json:"id"`
}

// Taken is what the daemon made of an alert.
type Taken struct {
	Record  emergency.Record `json:"record"`
	Known   bool             `json:"known"`              // it had come before
	NotKept bool             `json:"not_kept,omitempty"` // it is in force but would not survive a power cut
}

// Shelf is what the library has, for a user who may ask the daemon and may not look into
// its folder.
type Shelf struct {
	Clips    []playlist.Clip  `json:"clips"`
	Replaced playlist.Lineage `json:"replaced"`
}

// Lineage returns which clips were replaced by which.
func (s Shelf) Lineage(context.Context) (playlist.Lineage, error) { return s.Replaced, nil }

// Stick names the folder of a stick from the county.
type Stick struct {
	Dir string `json:"dir"` // absolute path
}

// Carried is what a stick brought and takes along, and what `dalaba import --json`
// prints of it.
type Carried struct {
	Accepted int               `json:"accepted"` // documents taken
	Known    int               `json:"known"`    // that were here already
	Others   int               `json:"others"`   // for other controllers
	Refused  map[string]string `json:"refused,omitempty"`
	Clips    int               `json:"clips"`    // taken
	Missing  int               `json:"missing"`  // clips neither here nor on the stick
	Receipts int               `json:"receipts"` // laid on the stick
}

// carriedLine is a line of the stream of an import; the last has Carried or Error.
type carriedLine struct {
	Carried *Carried `json:"carried,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// maxPath is the longest path that a unix socket may have, in bytes.
const maxPath = 107

const socketName = "control.sock"

// runDir is the folder of this machine's control socket.
func runDir() string {
	first, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if first != "" {
		return first
	}
	return "/run/dalaba"
}

// inMemory is where the socket lies if neither folder takes one.
func inMemory(dataDir string) string { return data.Aside(dataDir) + ".control" }

// places are where the socket of a data folder's daemon may lie, in order.
func places(dataDir string) []string {
	all := []string{filepath.Join(runDir(), socketName), filepath.Join(dataDir, socketName)}
	if path := inMemory(dataDir); data.Ours(dataDir, path) {
		all = append(all, path)
	}
	return all
}

// oldPlaces are where the daemon one version back listens, which speaks another
// language than this one.
func oldPlaces(dataDir string) []string {
	return []string{filepath.Join(dataDir, "dalaba.sock"), data.Aside(dataDir) + ".sock"}
}
