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
	StepActive    Step = "active"    // it airs by it
)

// Delivered is how far one controller is.
type Delivered struct {
	Controller playlist.ControllerID `json:"controller"`
	Name       string                `json:"name"`
	Step       Step                  `json:"step"`
	Clips      int                   `json:"clips"`   // that it needs
	Present    int                   `json:"present"` // that it has
	Online     bool                  `json:"online"`
	Why        string                `json:"why,omitempty"` // not active
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
		d := Delivered{Controller: k.ID, Name: k.Name, Step: StepWaiting, Online: p.online(k)}
		h, err := health(k)
		if err != nil {
			return nil, err
		}
		if k.Have[haveKey(link.KindManifest, scope)] >= version {
			d.Step = StepDelivered
		}
		for _, done := range h.Progress {
			if done.Scope != scope || done.Version < version {
				continue
			}
			d.Clips, d.Present, d.Why = done.Clips, done.Present, done.Why
			switch {
			case done.Active:
				d.Step = StepActive
			case done.Present >= done.Clips:
				d.Step = StepFetched
			default:
				d.Step = StepDelivered
			}
		}
		all = append(all, d)
	}
	return all, nil
}
