package county

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/playlist/emergency"
)

// Silence is why nothing is known to have sounded of an alert at a controller.
type Silence string

const (
	SilenceRefused   Silence = "refused"   // it told that it does not air it, and why
	SilenceCancelled Silence = "cancelled" // the alert ended there before it began
	SilenceTried     Silence = "tried"     // it began, and nothing was heard
	SilenceReceipts  Silence = "receipts"  // it told that it sounded; no receipt has come
	SilenceNowhere   Silence = "nowhere"   // the alert is for none of its outputs
	SilenceAway      Silence = "away"      // it is out of contact, and has not told that it has the alert
	SilenceUntold    Silence = "untold"    // it is in contact, and has not told that it has the alert
	SilenceLost      Silence = "lost"      // it had the alert, and is out of contact since
	SilenceFault     Silence = "fault"     // it has the alert, and tells of a fault of its own
	SilenceWaiting   Silence = "waiting"   // it has the alert, and has not begun
)

// silence is why nothing is known to have sounded of an alert at a controller.
func silence(a store.Alert, at AlertTarget, k store.Controller) Silence {
	switch delivered := !at.Delivered.IsZero(); {
	case at.State == emergency.StateRefused || at.State == emergency.StateLogged:
		return SilenceRefused
	case at.tried || at.State == emergency.StateFailed:
		return SilenceTried
	case at.State == emergency.StateCancelled && a.State == emergency.StateCancelled: // else it was taken back at its end
		return SilenceCancelled
	case at.toldHeard():
		return SilenceReceipts
	case at.Outputs == 0:
		return SilenceNowhere
	case !delivered && !at.near:
		return SilenceAway
	case !delivered:
		return SilenceUntold
	case !at.near:
		return SilenceLost
	case k.Fault:
		return SilenceFault
	}
	return SilenceWaiting
}

// Cause is what the controller said of its silence: the stem and the value of a word.
func (at AlertTarget) Cause() (stem, value string) {
	switch at.Silent {
	case SilenceRefused, SilenceCancelled:
		return "alerts.reason_", string(at.Why)
	case SilenceTried:
		return "reason.", string(at.Reason)
	}
	return "", ""
}

// SilentGroup is the controllers that are silent for the same cause.
type SilentGroup struct {
	Why       Silence
	Targets   []AlertTarget // in their order
	Residents int
	Since     time.Time // when the first of them was last in contact; zero if one never was
}

// Gathered gathers silent controllers by the cause, the largest group first.
func Gathered(silent []AlertTarget) (all []SilentGroup) {
	at := map[string]int{}
	for _, t := range silent {
		_, cause := t.Cause()
		key := string(t.Silent) + " " + cause
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key] = i
			all = append(all, SilentGroup{Why: t.Silent, Since: t.Seen})
		}
		g := &all[i]
		g.Targets, g.Residents = append(g.Targets, t), g.Residents+t.Residents
		if t.Seen.Before(g.Since) {
			g.Since = t.Seen
		}
	}
	slices.SortStableFunc(all, func(x, y SilentGroup) int {
		return cmp.Or(cmp.Compare(len(y.Targets), len(x.Targets)), strings.Compare(string(x.Why), string(y.Why)))
	})
	return all
}
