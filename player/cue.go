package player

import (
	"context"
	"errors"
	"fmt"
	"os"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/schedule"
)

// cue chooses the item's clip, checks it and decodes its first second. If a
// clip will not air it tells so and tries the playlist's next.
func (f *performance) cue(ctx context.Context, item int) (*entry, error) {
	rows, err := f.p.Ledger.Rows(ctx, f.due.ID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	list, ok := f.programme.Playlist(f.due.Slot.Playlist)
	if !ok || len(list.Clips) == 0 {
		return nil, fmt.Errorf("playlist %s has no clips", f.due.Slot.Playlist)
	}
	n, chosen := f.soFar(rows, item)
	if chosen != "" {
		return f.open(ctx, item, n, chosen)
	}
	before, err := f.p.Ledger.Cursor(ctx, list.Name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	var failures []error
	for after, tries := before, 0; tries < len(list.Clips); tries++ {
		var id playlist.ClipID
		id, after, _ = list.Next(after)
		c, err := f.open(ctx, item, n, id)
		if err == nil {
			b, a := before, after
			c.before, c.after = &b, &a
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, errStore) {
			return nil, err
		}
		f.log.Warn("clip unusable, next clip chosen", "clip", id, "err", err)
		f.p.Unfit(id)
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// soFar reads from the airing's rows which part of the item is next on this
// output, and the clip that was taken for it; "" if none was.
func (f *performance) soFar(rows []asrun.Row, item int) (part int, chosen playlist.ClipID) {
	part = 1
	for _, r := range rows {
		if r.Item == item && r.Output == f.out.Name {
			part = max(part, r.Part+1)
		}
	}
	if taken := schedule.Taken(rows); item <= len(taken) {
		chosen = taken[item-1]
	}
	return part, chosen
}

// open checks a clip's file against its hash and the air profile, and begins
// to decode it.
func (f *performance) open(ctx context.Context, item, n int, id playlist.ClipID) (*entry, error) {
	clip, path, err := f.p.Ledger.Clip(ctx, id)
	if err != nil && !errors.Is(err, playlist.ErrNoClip) {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	if err != nil {
		return nil, err
	}
	frames, err := Verify(id, path)
	if err != nil {
		return nil, err
	}
	c := f.entry(ctx, f.row(item, n), path)
	c.row.Clip, c.row.Title, c.row.Series, c.row.Issue = id, clip.Title, clip.Series, clip.Issue
	c.row.OfFrames, c.row.Cued = frames, f.p.Wall().UTC()
	c.row.LevelDB = f.level()
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	f.p.Watch(Moment{MomentCued, c.row})
	return c, nil
}

// load opens the clip's sound from its start.
func (e *entry) load(ctx context.Context) error {
	sound, err := e.p.Sound(e.path, e.row.LevelDB)
	if err != nil {
		return err
	}
	if err := sound.Ready(ctx); err != nil {
		sound.Close()
		return err
	}
	e.sound = sound
	return nil
}

// OpenSound opens a clip's file as a sound at that gain.
func OpenSound(path string, levelDB float64) (*Sound, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d, err := OpenClip(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return NewSound(&clipStream{d: d}, levelDB, file.Close), nil
}

// ErrDamaged marks a clip whose bytes are not those that its ID names.
var ErrDamaged = errors.New("clip damaged")

// Verify checks that the file holds the clip of that ID and that it fits the
// air profile, and says how many frames it decodes to.
func Verify(id playlist.ClipID, path string) (frames int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := Scan(file)
	if err != nil {
		return 0, err
	}
	if info.ID != id {
		return 0, fmt.Errorf("%w: %s holds %s", ErrDamaged, path, info.ID.Short())
	}
	return info.Frames, nil
}
