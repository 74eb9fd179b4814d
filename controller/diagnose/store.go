package diagnose

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"dalaba/controller/uplink"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
	"dalaba/web"
)

const (
	backupLate = 48 * time.Hour
	checkTime  = time.Minute     // for reading the database
	clipsTime  = 5 * time.Second // for reading clips
	lossRecent = 30 * 24 * time.Hour
	linkSilent = 30 * time.Minute // since the county last answered: longer is a warning
)

// database tells how the database is, which was read as a whole, and what was lost of
// it.
func (d *examination) database(context.Context) {
	if d.unread != nil {
		d.unreadable(d.unread)
		return
	}
	if d.noStore("store") {
		return
	}
	h := d.health
	if d.slow {
		d.add("store", Warn, say.M("doctor.store_slow", int(checkTime.Seconds())), say.M("doctor.store_slow_do"))
	} else {
		d.add("store", OK, say.M("doctor.store_ok", web.Size(h.Size), h.Schema))
	}
	switch {
	case d.status != nil && d.status.Store != nil && d.status.Store.InUse:
		d.add("store", Fail, say.M("store.in_use", d.dir), d.restart())
	case h.Volatile:
		d.add("store", Fail, say.M("doctor.store_memory"), say.M("doctor.store_memory_do"), "df -h "+d.dir, "dmesg | tail -n 50")
	}
	if n := len(h.Losses); n > 0 {
		l := h.Losses[n-1]
		r := Info
		if d.now.Sub(l.At) < lossRecent {
			r = Warn
		}
		d.add("store", r, say.M("doctor.store_loss", l.At.In(d.zone()).Format(time.DateTime), l.Why), say.M("doctor.store_loss_do"))
	}
}

// unreadable tells why the store cannot be read.
func (d *examination) unreadable(err error) {
	found := say.M("doctor.as_is", err)
	switch {
	case errors.Is(err, data.ErrDamaged):
		if !errors.As(err, new(say.Message)) {
			found = say.M("doctor.store_damaged", err.Error())
		}
		d.add("store", Fail, found, say.M("doctor.store_damaged_do"), d.restart())
	case errors.Is(err, data.ErrInUse):
		d.add("store", Fail, found, d.restart())
	case errors.Is(err, data.ErrNewer):
		d.add("store", Fail, found, say.M("doctor.store_newer_do"))
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		d.add("store", Fail, found, "sudo dalaba doctor -c "+d.file)
	default:
		d.add("store", Fail, found, say.M("doctor.store_do", d.dir))
	}
}

// backups looks at the backups, which are there though the database may be damaged.
func (d *examination) backups(context.Context) {
	if d.noFolder("backup") || d.store == nil && d.unread == nil {
		return
	}
	n, last, err := data.Backups(d.dir)
	switch age := d.now.Sub(last); {
	case err != nil:
		d.add("backup", Skip, say.M("doctor.store_unread"))
	case n == 0:
		d.add("backup", Warn, say.M("doctor.backup_none"), say.M("doctor.backup_do"), d.start())
	case age > backupLate:
		d.add("backup", Warn, say.M("doctor.backup_old", web.Age(last, d.now)), say.M("doctor.backup_do"), d.start())
	default:
		d.add("backup", OK, say.M("doctor.backup_ok", web.Age(last, d.now), n))
	}
}

// clips looks that the clips of every playlist are there, and reads as many of
// them as the time allows.
func (d *examination) clips(ctx context.Context) {
	if d.noConfig("clips") || d.noStore("clips") && d.unread != nil {
		return
	}
	var (
		ready   []playlist.ClipID
		waiting int
		seen    = map[playlist.ClipID]bool{}
	)
	for _, l := range d.cfg.Playlists {
		if len(l.Clips) == 0 {
			d.add("clips", Fail, say.M("doctor.clips_empty", l.Name), say.M("doctor.clips_empty_do"))
		}
		for _, id := range l.Clips {
			if seen[id] {
				continue
			}
			seen[id] = true
			if d.store == nil {
				waiting++
				continue
			}
			c, _, err := d.store.Clip(ctx, id)
			switch {
			case err == nil:
				ready = append(ready, id)
			case errors.Is(err, data.ErrNotFound):
				waiting++
			case errors.Is(err, data.ErrNoFile):
				d.add("clips", Fail, say.M("doctor.clip_missing", wording.ClipTitle(id, c.Title, c.Issue), l.Name, d.store.ClipPath(id)), d.clipAgain())
			default:
				d.add("clips", Fail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
			}
		}
	}
	if waiting > 0 && d.running {
		d.add("clips", Warn, say.M("doctor.clips_new", waiting), "dalaba reload -c "+d.file)
	} else if waiting > 0 {
		d.add("clips", Info, say.M("doctor.clips_waiting", waiting))
	}
	// Each examination reads others first.
	rand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	read, broken := 0, 0
	for end := time.Now().Add(clipsTime); read < len(ready) && (read == 0 || time.Now().Before(end)) && ctx.Err() == nil; read++ {
		id := ready[read]
		if err := d.store.VerifyClip(ctx, id); err != nil {
			broken++
			c, _, _ := d.store.Clip(ctx, id)
			d.add("clips", Fail, say.M("doctor.clip_damaged", wording.ClipTitle(id, c.Title, c.Issue), err),
				"rm "+d.store.ClipPath(id), d.clipAgain())
		}
	}
	if len(ready) > 0 && broken == 0 {
		d.add("clips", OK, say.M("doctor.clips_ok", len(ready), read))
	}
}

// clipAgain returns how to bring a clip back from where it came.
func (d *examination) clipAgain() say.Message {
	if d.running {
		return say.M("doctor.clip_again", "dalaba reload -c "+d.file)
	}
	return say.M("doctor.clip_again", d.start())
}

// unsent looks at the receipts that the county does not have.
func (d *examination) unsent(ctx context.Context) {
	if d.noStore("unsent") {
		return
	}
	waits := uplink.Wire{Store: d.store}.Waits(ctx)
	n, oldest, err := d.store.Unsent(ctx)
	if !waits {
		n = 0
	}
	aside, why, aerr := d.store.Aside(ctx)
	switch err := errors.Join(err, aerr); {
	case err != nil:
		d.add("unsent", Fail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
	case aside > 0:
		d.add("unsent", Warn, say.M("doctor.aside", aside, why, n), "dalaba log --level error -c "+d.file)
	case !waits:
		d.add("unsent", Info, say.M("doctor.unsent_no_county"))
	case n == 0:
		d.add("unsent", OK, say.M("doctor.unsent_none"))
	default:
		d.add("unsent", Info, say.M("doctor.unsent", n, web.Stamp(oldest, d.now, d.zone())))
	}
}

// link looks whether the county hears from the controller.
func (d *examination) link(ctx context.Context) {
	if d.noStore("link") {
		return
	}
	docs, err := uplink.Wire{Store: d.store}.Documents(ctx)
	if err != nil {
		d.add("link", Fail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
		return
	}
	m := link.MemberOf(docs)
	synced, _ := d.store.Synced(ctx)
	lags, _ := d.store.Lags(ctx)
	switch {
	case m.Controller == "":
		d.add("link", Info, say.M("doctor.link_none"))
	case m.Retired:
		d.add("link", Warn, say.M("doctor.link_retired", m.Controller), say.M("doctor.link_retired_do"))
	case synced.IsZero():
		d.add("link", Warn, say.M("doctor.link_never", m.Controller), say.M("doctor.link_do", strings.Join(m.Servers, " ")))
	case d.now.Sub(synced) > linkSilent:
		d.add("link", Warn, say.M("doctor.link_silent", m.Controller, web.Stamp(synced, d.now, d.zone())), say.M("doctor.link_do", strings.Join(m.Servers, " ")))
	case len(lags) > 0:
		d.addLines("link", Warn, lagging(lags), say.M("doctor.link_lag_do"))
	case len(d.astray(m)) > 0:
		d.add("link", Warn, say.M("doctor.link_astray", m.Areas[0], strings.Join(d.astray(m), ", ")), say.M("doctor.link_astray_do"))
	case len(d.idle(ctx, m)) > 0:
		d.add("link", Warn, say.M("doctor.link_idle", strings.Join(d.idle(ctx, m), ", ")), say.M("doctor.link_idle_do"))
	default:
		d.add("link", OK, say.M("doctor.link_ok", m.Controller, web.Stamp(synced, d.now, d.zone())))
	}
}

// astray lists the outputs that the config has outside of the area that the county gave.
func (d *examination) astray(m link.Member) []string {
	if d.cfg == nil {
		return nil
	}
	return d.cfg.With(m.Follower(), nil).Astray()
}

// idle lists the slots of the county that the config makes exceptions from and that the
// county does not have.
func (d *examination) idle(ctx context.Context, m link.Member) []string {
	inForce, err := d.store.Manifests(ctx)
	if d.cfg == nil || err != nil || len(inForce) == 0 {
		return nil
	}
	return d.cfg.With(m.Follower(), slices.Collect(maps.Values(inForce))).IdleExceptions()
}

// lagging says which documents of the county did not arrive.
func lagging(lags []data.Lag) (all []say.Message) {
	for _, l := range lags {
		what := link.Kind(l.Kind).Words()
		if l.Scope != "" {
			what = say.M("attr.about", what, string(l.Scope))
		}
		if l.Here == 0 {
			all = append(all, say.M("doctor.link_lacks", what, l.Version))
			continue
		}
		all = append(all, say.M("doctor.link_lag", what, l.Version, l.Here))
	}
	return all
}
