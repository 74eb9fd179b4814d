package uplink

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"dalaba/controller/clock"
	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// Enrolment is how a controller joins a county.
type Enrolment struct {
	URL     string // of the county; https if it names no scheme
	Code    string // that the county has shown
	Program string // the program's version
	Log     *slog.Logger

	Key     func(fingerprint string)  // called with the controller's own key
	Pending func()                    // called when the county waits for an approval
	Busy    func(again time.Duration) // called when the county is busy; it is asked again
}

// Joined is what came of it.
type Joined struct {
	Member link.Member
	Key    string // fingerprint of the controller's key
	County string // fingerprint of the county's trust document
}

// Enrol makes the controller known to a county, and keeps the county's documents in
// the store, beside a daemon that may be running. It waits for the approval until
// ctx ends.
func Enrol(ctx context.Context, cfg *config.Config, e Enrolment) (j Joined, err error) {
	store, err := data.Open(ctx, cfg.Site.DataDir, data.Options{Log: e.Log, Boot: clock.Boot(), Mono: clock.Uptime})
	if err != nil {
		return j, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	key, err := ownKey(cfg.Site.DataDir)
	if err != nil {
		return j, err
	}
	j.Key = key.Public().Fingerprint()
	e.Key(j.Key)
	if !strings.Contains(e.URL, "://") {
		e.URL = "https://" + e.URL
	}
	got, err := link.Enrol(ctx, link.Enrolment{
		URL: e.URL, Code: e.Code, Key: key, Self: self(cfg, e.Program), Pending: e.Pending, Busy: e.Busy,
	})
	if err != nil {
		return j, err
	}
	ctx = context.WithoutCancel(ctx) // the county counts it as enrolled
	j.Member, j.County = *got.Member.Member, got.Trust.Trust.Fingerprint()
	return j, Wire{Store: store}.Adopt(ctx, got)
}

// self is what the controller tells of itself.
func self(cfg *config.Config, program string) link.EnrolRequest {
	r := link.EnrolRequest{Site: cfg.Site.Name, Area: cfg.Site.Area, Outputs: len(cfg.Outputs), Program: program}
	for _, o := range cfg.Outputs {
		r.Residents += o.Residents
		area := cmp.Or(o.Area, cfg.Site.Area)
		if len(r.Areas) < playlist.MaxAreas && !slices.Contains(r.Areas, area) {
			r.Areas = append(r.Areas, area)
		}
		if len(r.Zones) < link.MaxZones {
			r.Zones = append(r.Zones, link.Zone{Name: o.Name, Area: area, Residents: o.Residents})
		}
	}
	return r
}
