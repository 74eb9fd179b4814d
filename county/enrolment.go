package county

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// codeStore keeps the enrolment codes, and the controllers that came with one.
type codeStore interface {
	controllerFinder
	AddCode(ctx context.Context, c store.Code) error
	Code(ctx context.Context, id string) (store.Code, error)
	UseCode(ctx context.Context, id string, who store.Controller) (store.Controller, error)
	Codes(ctx context.Context) ([]store.Code, error)
}

// enrolment makes one-time codes and admits the controllers that come with
// them. It is a [link.EnrolStore].
type enrolment struct {
	base
	store     codeStore
	members   *members
	documents *documents
}

// NewCode is what an operator says of a controller that is to enrol.
type NewCode struct {
	Controller playlist.ControllerID `json:"controller,omitempty"` // empty: one is made of the area
	Name       string                `json:"name,omitempty"`       // empty: what the controller calls its site
	Area       playlist.Area         `json:"area"`
	Groups     []string              `json:"groups,omitempty"`
	Approve    bool                  `json:"approve,omitempty"` // the code alone is approval enough
}

// MadeCode is a code, to be given to the person who enrols the controller.
type MadeCode struct {
	Code       string                `json:"code"`
	Controller playlist.ControllerID `json:"controller"`
	Expires    time.Time             `json:"expires"`
}

// addCode makes a one-time enrolment code.
func (e *enrolment) addCode(ctx context.Context, n NewCode) (MadeCode, error) {
	if err := e.ours(n.Area, n.Groups); err != nil {
		return MadeCode{}, err
	}
	if n.Controller == "" {
		var err error
		if n.Controller, err = e.freeName(ctx, n.Area); err != nil {
			return MadeCode{}, err
		}
	}
	if !playlist.IsToken(string(n.Controller)) {
		return MadeCode{}, invalid("county.no_token", n.Controller)
	}
	text, code := link.NewCode(e.now())
	err := e.store.AddCode(ctx, store.Code{
		ID: code.ID, Secret: code.Secret, Controller: n.Controller, Name: n.Name, Area: n.Area, Groups: n.Groups, Approve: n.Approve, Expires: code.Expires,
	})
	if errors.Is(err, store.ErrConflict) {
		return MadeCode{}, fault{store.ErrConflict, say.M("county.controller_there", string(n.Controller))}
	}
	return MadeCode{Code: text, Controller: n.Controller, Expires: code.Expires}, err
}

// freeName makes a name of an area that no controller has and no code is for.
func (e *enrolment) freeName(ctx context.Context, area playlist.Area) (playlist.ControllerID, error) {
	for i := 1; ; i++ {
		id := playlist.ControllerID(fmt.Sprintf("%s-%d", area, i))
		_, err := e.store.Controller(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
		taken, cerr := e.promised(ctx, id)
		if cerr != nil {
			return "", cerr
		}
		if err != nil && !taken {
			return id, nil
		}
	}
}

// codes lists the codes that are neither used nor expired.
func (e *enrolment) codes(ctx context.Context) ([]store.Code, error) { return e.store.Codes(ctx) }

// promised reports whether there is a code for a controller of that name.
func (e *enrolment) promised(ctx context.Context, id playlist.ControllerID) (bool, error) {
	codes, err := e.store.Codes(ctx)
	for _, k := range codes {
		if k.Controller == id {
			return true, err
		}
	}
	return false, err
}

// EnrolCode finds a code.
func (e *enrolment) EnrolCode(ctx context.Context, id string) (link.Code, error) {
	k, err := e.store.Code(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return link.Code{}, link.ErrCode
	}
	return link.Code{ID: k.ID, Secret: k.Secret, Expires: k.Expires}, err
}

// Enrol records the controller that came with a code, and decides on it.
func (e *enrolment) Enrol(ctx context.Context, code link.Code, _ time.Time, r link.EnrolRequest) (link.Decision, error) {
	who := store.Controller{
		Name: r.Site, Key: r.Key.String(), Fingerprint: r.Key.Fingerprint(), User: r.User, Version: r.Program, SiteArea: r.Area,
		Said: store.Said{Site: r.Site, Areas: r.Areas, Outputs: r.Outputs, Residents: r.Residents},
	}
	for _, z := range r.Zones {
		who.Outputs = append(who.Outputs, store.Output{Name: z.Name, Area: z.Area, Residents: z.Residents})
	}
	k, err := e.store.UseCode(ctx, code.ID, who)
	switch {
	case errors.Is(err, store.ErrConflict):
		return link.Decision{}, link.ErrCodeUsed
	case errors.Is(err, store.ErrNotFound):
		return link.Decision{}, link.ErrCode
	case err != nil:
		return link.Decision{}, err
	}
	switch {
	case k.Key != r.Key.String():
		return link.Decision{State: link.EnrolRefused, Reason: "another controller has this name now"}, nil
	case k.State == store.Pending:
		return link.Decision{State: link.EnrolPending}, nil
	case k.State != store.Active:
		return link.Decision{State: link.EnrolRefused, Reason: string(k.State)}, nil
	}
	if err := e.members.renew(ctx, k.ID); err != nil {
		return link.Decision{}, err
	}
	trust, err := e.documents.current(ctx, link.KindTrust, "")
	if err != nil {
		return link.Decision{}, err
	}
	member, err := e.documents.current(ctx, link.KindMember, playlist.ControllerScope(k.ID))
	return link.Decision{State: link.EnrolGranted, Trust: trust.Bytes, Member: member.Bytes}, err
}
