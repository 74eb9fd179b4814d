package uplink

import (
	"context"
	"time"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// health returns how the controller is, for the county.
func (u *Uplink) health(ctx context.Context) link.Health {
	cfg := u.Config()
	h := link.Health{Program: u.Program, Understands: link.Understood(), Site: cfg.Site.Name, Area: cfg.Site.Area, Store: "ok"}
	h.Started, _ = u.store.Started(ctx)
	if s, err := u.store.Health(ctx); err == nil {
		h.StoreBytes, h.FreeBytes = s.Size, s.Free
		if s.Volatile {
			h.Store = "volatile"
		}
	} else {
		h.Store = "damaged"
	}
	h.Unsent, h.Oldest, _ = u.store.Unsent(ctx)
	if clips, err := u.store.Clips(ctx, ""); err == nil {
		h.Clips = len(clips)
	}
	h.Outputs = u.Outputs(ctx)
	h.Progress = u.progress(ctx)
	h.Alerts = u.alertProgress(ctx)
	lags, _ := u.store.Lags(ctx)
	for _, l := range lags {
		h.Behind = append(h.Behind, link.Lag{Have: link.Have{Kind: link.Kind(l.Kind), Scope: l.Scope, Version: l.Version}, Here: l.Here, Why: l.Why})
	}
	return h
}

// local returns what the site has of its own, for the county. It is worked out anew if
// another config is in force.
func (u *Uplink) local(ctx context.Context) playlist.Local {
	if cfg := u.Config(); cfg != u.own.of {
		u.own.of, u.own.local = cfg, cfg.Local(func(list playlist.Playlist) (usual time.Duration) {
			n := time.Duration(0)
			for _, id := range list.Clips {
				if clip, _, err := u.store.Clip(ctx, id); err == nil {
					usual, n = usual+playlist.Length(clip.Frames), n+1
				}
			}
			return usual / max(n, 1)
		})
	}
	return u.own.local
}

// alertProgress returns how alerts stand, at most [link.MaxAlerts]: those in force
// before those that are over.
func (u *Uplink) alertProgress(ctx context.Context) (all []link.AlertProgress) {
	records, err := u.Alarm.Records(ctx)
	if err != nil {
		return nil
	}
	records = emergency.Foremost(records)
	for _, r := range records[:min(len(records), link.MaxAlerts)] {
		at := r.Received
		if !r.Ended.IsZero() {
			at = r.Ended
		}
		all = append(all, link.AlertProgress{ID: r.ID, State: string(r.State), Why: string(r.Reason), At: at})
	}
	return all
}
