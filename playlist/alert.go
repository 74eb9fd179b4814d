package playlist

import (
	"cmp"
	"strings"
	"time"
)

// AlertID names an alert for deduplication: sender, identifier and sent of a
// CAP message, joined by commas as CAP's references are; the EBMID of an EBM.
// What an alert means is in package emergency.
type AlertID string

// Means reports whether the ID, as a reference, names an alert. CAP 1.0 leaves
// out the time that later versions end it with.
func (id AlertID) Means(alert AlertID) bool {
	return id != "" && (id == alert || id == alert.Timeless())
}

// Timeless is a CAP alert's ID as CAP 1.0 refers to it: up to its last comma,
// empty if it has none.
func (id AlertID) Timeless() AlertID { return id[:strings.LastIndexByte(string(id), ',')+1] }

// Airing names the alert's airing in the as-run log. Its items are the passes;
// the first part of each is the attention tone.
func (id AlertID) Airing() AiringID { return AiringID(alertAiring + id) }

const alertAiring = "alert/"

// Alert is the alert whose airing that is; ok is false if it is none's.
func (id AiringID) Alert() (alert AlertID, ok bool) {
	text, ok := strings.CutPrefix(string(id), alertAiring)
	return AlertID(text), ok
}

// LiveID names what is said into the microphone from that instant on.
func LiveID(at time.Time) AlertID { return AlertID(liveAlert + at.Format("20060102T150405.000000Z")) }

const liveAlert = "mic,"

// Live reports whether it is what is said into the microphone.
func (id AlertID) Live() bool { return strings.HasPrefix(string(id), liveAlert) }

// AlertSource is the way by which an alert came to a controller.
type AlertSource string

const (
	AlertByLink AlertSource = "link" // in a county's envelope, whose signature stands for it
	AlertByHand AlertSource = "hand" // the verb, from a user who may talk to the daemon
	AlertByDrop AlertSource = "drop" // the drop folder
	AlertAtSite AlertSource = "site" // from a person at the pole, who could as well cut the cable
)

// AlertRules say how a site deals with alerts.
type AlertRules struct {
	Drills   bool          // drills may sound here
	Unsigned []AlertSource // unsigned messages are accepted from there
	Life     time.Duration // of an alert that names no end
	Retirers []string      // senders who may end the alerts of others, if they are proven as well as those
	Passes   int           // how often an alert sounds if it does not say
	Gap      time.Duration // between two passes, if the alert does not say
	ToneMin  time.Duration // the attention tone is no shorter
	ToneMax  time.Duration // and no longer, while the sound is fetched
	LevelDB  float64       // of everything that an alert sounds
	Place    *Place        // of the site, for shapes; nil: unknown
}

// Place is a place on the ground: latitude and longitude in degrees, WGS 84.
type Place struct{ Lat, Lon float64 }

// The defaults of a site's rules.
const (
	DefaultAlertLife    = time.Hour
	DefaultAlertPasses  = 3
	DefaultAlertGap     = 5 * time.Second
	DefaultAlertToneMin = 4 * time.Second
	DefaultAlertToneMax = 20 * time.Second
)

// Filled is the rules with defaults for what they leave open.
func (r AlertRules) Filled() AlertRules {
	r.Life = cmp.Or(r.Life, DefaultAlertLife)
	r.Passes = cmp.Or(r.Passes, DefaultAlertPasses)
	r.Gap = cmp.Or(r.Gap, DefaultAlertGap)
	r.ToneMin = cmp.Or(r.ToneMin, DefaultAlertToneMin)
	r.ToneMax = max(cmp.Or(r.ToneMax, DefaultAlertToneMax), r.ToneMin)
	return r
}
