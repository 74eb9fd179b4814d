package county

import (
	"context"

	"dalaba/link"
	"dalaba/playlist"
)

// Step is how far a controller is with a manifest.
type Step string

// The steps of a delivery, in order.
const (
	StepWaiting   Step = "waiting"   // it has not said that it has it
	StepDelivered Step = "delivered" // it has it, and fetches clips
	StepFetched   Step = "fetched"   // its clips are there, their hashes right
	StepActive    Step = "active"    // its programme airs by it
)

// The steps beside these.
const (
	StepRefused Step = "refused"
	StepUnknown Step = "unknown" // its program is of release 0.1, which does not say what its programme airs by
)

// Delivered is how far one controller is with a version.
type Delivered struct {
	Controller playlist.ControllerID `json:"controller"`
	Name       string                `json:"name"`
	Scope      playlist.Scope        `json:"scope"`
	Version    int64                 `json:"version"`
	Step       Step                  `json:"step"`
	Clips      int                   `json:"clips"`              // that it needs
	Present    int                   `json:"present"`            // that it has
	InForce    int64                 `json:"in_force,omitempty"` // the version by which it airs, as far as it says; 0: none, or not known
	Online     bool                  `json:"online"`
	Why        string                `json:"why,omitempty"` // not active: see [link.Progress] and [link.Lag]
}

// Scheduled reports whether a controller has all that it needs, and waits for the day from
// which it is to air by the version.
func (d Delivered) Scheduled() bool { return d.Step == StepFetched && d.Why == "not_before" }

// Settled reports whether nothing is to be waited for.
func (d Delivered) Settled() bool {
	return d.Step == StepActive || d.Scheduled() || d.Step == StepRefused || d.Step == StepUnknown
}

// delivery is how far each controller of a scope is with a version of its
// manifest.
func (p *programmes) delivery(ctx context.Context, scope playlist.Scope, version int64) ([]Delivered, error) {
	fleet, err := p.fleet.followers(ctx, scope)
	if err != nil {
		return nil, err
	}
	all := make([]Delivered, 0, len(fleet))
	for _, k := range fleet {
		h, err := health(k)
		if err != nil {
			return nil, err
		}
		d := Delivered{Controller: k.ID, Name: k.Name, Scope: scope, Version: version, Step: StepWaiting, Online: p.online(k)}
		if k.Have[haveKey(link.KindManifest, scope)] >= version {
			d.Step = StepDelivered
		}
		d.look(h)
		all = append(all, d)
	}
	return all, nil
}

// look takes what a controller says of itself.
func (d *Delivered) look(h link.Health) {
	for _, lag := range h.Behind {
		if lag.Kind == link.KindManifest && lag.Scope == d.Scope && lag.Version >= d.Version && lag.Why != "" {
			d.Step, d.Why = StepRefused, lag.Why
		}
	}
	for _, done := range h.Progress {
		if done.Scope != d.Scope {
			continue
		}
		if done.Planned {
			d.InForce = done.Version
		}
		if done.Version < d.Version {
			continue
		}
		d.Clips, d.Present, d.Why = done.Clips, done.Present, done.Why
		switch {
		case done.Planned:
			d.Step = StepActive
		case done.Active && done.Why == "":
			d.Step = StepUnknown
		case done.Present >= done.Clips:
			d.Step = StepFetched
		default:
			d.Step = StepDelivered
		}
	}
}
