package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalaba/data"
	"dalaba/playlist"
)

const (
	// changing is how long around a change of config it is open which of the
	// two an airing follows: it is taken in hand playlist.Lead ahead, within a
	// second.
	changing = playlist.Lead + 2*time.Second

	// How much of a row that was cut off may be missing from it: before and
	// after the first time that it was noted how far it had come.
	unnoted   = 1500 * time.Millisecond
	unwritten = 5*time.Second + 1200*time.Millisecond

	// startOff is how far the instant of a first frame in the log may be from
	// when the card had it.
	startOff = 300 * time.Millisecond

	// Where an output ran dry, as it does on a busy machine and as its log says,
	// the sound is squeezed behind that to be on time again. The tape is then
	// not followed through pieces as short as this.
	dryFrames = playlist.Rate / 4
)

// due are the rows that there must be, and those that there may be: where the
// config changed about the instant, one more than must.
func (h *harness) due() (must, may map[playlist.RowKey]playlist.Airing) {
	must, may = map[playlist.RowKey]playlist.Airing{}, map[playlist.RowKey]playlist.Airing{}
	s := h.site
	from, to := h.lives[1].watermark, s.versions[s.latest()].known.Add(changing)
	all := make([]map[playlist.AiringID]playlist.Airing, len(s.versions))
	for i, v := range s.versions {
		all[i] = map[playlist.AiringID]playlist.Airing{}
		for _, a := range v.programme.Timetable().Due(from, to) {
			all[i][a.ID] = a
		}
	}
	for i := range all {
		for id, a := range all[i] {
			in := h.inForce(a.Due)
			if !slices.Contains(in, i) {
				continue
			}
			certain := !slices.ContainsFunc(in, func(v int) bool { _, ok := all[v][id]; return !ok })
			for _, out := range a.Slot.Outputs {
				for item := 1; item <= a.Slot.Count; item++ {
					k := playlist.RowKey{Airing: id, Output: out, Item: item}
					may[k] = a
					if certain {
						must[k] = a
					}
				}
			}
		}
	}
	return must, may
}

// inForce are the versions of the config that may have ruled at that instant.
func (h *harness) inForce(at time.Time) (all []int) {
	vs := h.site.versions
	for i, v := range vs {
		over := time.Time{} // when a later one was known to be in force
		for _, later := range vs[i+1:] {
			if !later.known.IsZero() {
				over = later.known.Add(changing)
				break
			}
		}
		if i > 0 && at.Before(v.since) || !over.IsZero() && at.After(over) {
			continue
		}
		all = append(all, i)
	}
	// What fell due while the controller was off is asked of the config that
	// it starts with, back to the watermark.
	for _, l := range h.lives {
		if at.After(l.watermark) && !at.After(l.start) && !l.watermark.IsZero() && !slices.Contains(all, l.version) {
			all = append(all, l.version)
		}
	}
	return all
}

// row is a row of the as-run log with what the other witnesses say.
type row struct {
	playlist.Row
	id    int64     // rows are numbered as they are claimed
	made  time.Time // its receipt
	life  *life     // in which it was claimed
	late  bool      // closed at a later start
	heard int64     // frames of the clip on tape
}

func (r *row) String() string {
	s := fmt.Sprintf("%s on %s item %d part %d (%s", r.Airing, r.Output, r.Item, r.Part, r.Outcome)
	if r.Reason != "" {
		s += " " + string(r.Reason)
	}
	s += fmt.Sprintf(", %d frames from %d, receipt %d", r.Frames, r.FromFrame, r.Seq)
	if r.life != nil {
		s += fmt.Sprintf(", life %d", r.life.n)
	}
	return s + ")"
}

// judgement is the work of holding the witnesses against each other.
type judgement struct {
	*harness
	rows     []*row
	breaches []string
	spans    int
	sound    int64 // frames on tape that rows account for
	behind   int64 // most frames that a row cut off lacks
	off      time.Duration
	torn     int
	dry      int // rows in whose time their output ran dry
	foreign  int // rows of airings that fell due by another config than the one that ruled
}

func (j *judgement) breach(format string, args ...any) {
	j.breaches = append(j.breaches, fmt.Sprintf(format, args...))
}

func (h *harness) judge(ctx context.Context) ([]string, error) {
	j := &judgement{harness: h, breaches: slices.Clone(h.lost)}
	if err := j.read(ctx); err != nil {
		return nil, err
	}
	must, may := h.due()
	j.accounts(must, may)
	j.parts(may)
	if err := j.tapes(); err != nil {
		return nil, err
	}
	if err := j.cursors(ctx); err != nil {
		return nil, err
	}
	j.summary(len(must))
	return j.breaches, nil
}

// read reads the log and holds the store against its own rules.
func (j *judgement) read(ctx context.Context) (err error) {
	store, err := data.OpenReadOnly(ctx, j.site.data())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	byKey := map[playlist.RowKey]*row{}
	for r, err := range store.AsRun(ctx, data.Query{}) {
		if err != nil {
			return err
		}
		x := &row{Row: r}
		mono := time.Duration(r.MonoMS) * time.Millisecond
		for _, l := range j.lives {
			if mono >= l.up-time.Millisecond && mono <= l.down {
				x.life = l
			}
		}
		if x.life == nil {
			j.breach("%v: opened while the controller was off", x)
		}
		j.rows = append(j.rows, x)
		byKey[r.Key()] = x
	}
	losses, err := store.Losses(ctx)
	if err != nil {
		return err
	}
	for _, l := range losses {
		j.breach("the store lost something: %+v", l)
	}
	if err := j.clips(ctx, store); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(j.site.data(), "dalaba.db")+"?mode=ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var intact string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&intact); err != nil {
		return err
	}
	if intact != "ok" {
		j.breach("the store is damaged: %s", intact)
	}
	rows, err := db.QueryContext(ctx, `SELECT a.airing, a.output, a.item, a.part, a.id, a.seq, coalesce(r.seq, 0), coalesce(r.made, 0),
		coalesce(r.epoch, 0) FROM asrun a LEFT JOIN receipt r ON r.asrun = a.id`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	made := map[int64]bool{}
	epochs := map[int64]bool{}
	for rows.Next() {
		var (
			k                               playlist.RowKey
			id, seq, receipt, micros, epoch int64
		)
		if err := rows.Scan(&k.Airing, &k.Output, &k.Item, &k.Part, &id, &seq, &receipt, &micros, &epoch); err != nil {
			return err
		}
		r := byKey[k]
		r.id, r.made = id, time.UnixMicro(micros)
		switch {
		case r.Outcome == "":
			j.breach("%v: still open", r)
		case receipt == 0:
			j.breach("%v: closed without a receipt", r)
		case receipt != seq || made[receipt]:
			j.breach("%v: its receipt is number %d, another's or twice", r, receipt)
		}
		made[receipt] = true
		if receipt > 0 {
			epochs[epoch] = true
		}
		r.late = r.life != nil && r.made.After(r.life.end)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var last int64
	if err := db.QueryRowContext(ctx, "SELECT seq FROM store").Scan(&last); err != nil {
		return err
	}
	for n := int64(1); n <= last; n++ {
		if !made[n] {
			j.breach("receipt %d of %d is missing", n, last)
		}
	}
	if len(epochs) > 1 {
		j.breach("%d epochs of receipts though no store was lost", len(epochs))
	}
	return nil
}

// clips holds the clip files against their names.
func (j *judgement) clips(ctx context.Context, store *data.Store) error {
	for id, c := range j.site.clips {
		if _, _, err := store.Clip(ctx, id); err != nil {
			j.breach("clip %s is not in the store: %v", c.name, err)
			continue
		}
		if err := store.VerifyClip(ctx, id); err != nil {
			j.breach("clip %s: %v", c.name, err)
		}
	}
	return nil
}

// accounts holds the log against what was due: each airing has its rows, and
// there are no others.
func (j *judgement) accounts(must, may map[playlist.RowKey]playlist.Airing) {
	have := map[playlist.RowKey]bool{}
	for _, r := range j.rows {
		k := playlist.RowKey{Airing: r.Airing, Output: r.Output, Item: r.Item}
		have[k] = true
		a, ok := may[k]
		if !ok {
			if !r.Due.After(j.lives[1].watermark) {
				continue // of the first life, before anyone was in charge
			}
			j.breach("%v: nothing was due", r)
			continue
		}
		if r.Part > 0 || r.Reason != playlist.ReasonOff {
			continue
		}
		if _, ok := must[k]; !ok {
			j.foreign++
			continue
		}
		for _, l := range j.lives {
			if l.start.Before(a.Due.Add(-j.slowly(changing))) && l.end.After(a.Due.Add(a.Slot.Window+j.slowly(time.Second))) {
				j.breach("%v: said to have been off, yet life %d went from %v before it to %v after", r, l.n,
					a.Due.Sub(l.start).Round(time.Millisecond), l.end.Sub(a.Due).Round(time.Millisecond))
			}
		}
	}
	var lost []playlist.RowKey
	for k := range must {
		if !have[k] {
			lost = append(lost, k)
		}
	}
	slices.SortFunc(lost, func(a, b playlist.RowKey) int {
		return cmp.Or(must[a].Due.Compare(must[b].Due), cmp.Compare(a.Airing, b.Airing), cmp.Compare(a.Output, b.Output), cmp.Compare(a.Item, b.Item))
	})
	for _, k := range lost {
		j.breach("%s on %s item %d: due and no row (%s)", k.Airing, k.Output, k.Item, j.around(must[k].Due))
	}
}

// around tells what went on at an instant.
func (j *judgement) around(at time.Time) string {
	for i, l := range j.lives {
		switch {
		case at.Before(l.start) && i == 0:
			return "before the first life"
		case at.Before(l.start):
			return fmt.Sprintf("between life %d and the next", j.lives[i-1].n)
		case at.Before(l.end):
			return fmt.Sprintf("%v into life %d, %v before its end", at.Sub(l.start).Round(time.Millisecond), l.n, l.end.Sub(at).Round(time.Millisecond))
		}
	}
	return "after the last life"
}

// parts holds the rows of each item against each other and against the slot's
// policies.
func (j *judgement) parts(may map[playlist.RowKey]playlist.Airing) {
	items := map[playlist.RowKey][]*row{}
	for _, r := range j.rows {
		k := playlist.RowKey{Airing: r.Airing, Output: r.Output, Item: r.Item}
		items[k] = append(items[k], r)
	}
	for k, rows := range items {
		a, ok := may[k]
		if !ok {
			continue
		}
		slices.SortFunc(rows, func(a, b *row) int { return a.Part - b.Part })
		madeGood := 0
		for i, r := range rows {
			if r.Part == 0 && (len(rows) > 1 || r.Frames > 0 || !r.Started.IsZero()) {
				j.breach("%v: did not sound, it says, beside %d rows that may have", r, len(rows)-1)
			}
			if r.Part > 0 && r.Part != i+1 {
				j.breach("%v: part %d is missing", r, i+1)
			}
			if r.late && r.Outcome != playlist.Complete && r.Reason != playlist.ReasonPowerLost || !r.late && r.Reason == playlist.ReasonPowerLost && r.Part > 0 {
				j.breach("%v: closed %v, which its reason does not tell", r, map[bool]string{true: "at a later start", false: "in the life that claimed it"}[r.late])
			}
			if r.late && !r.life.killed {
				j.breach("%v: left open by a controller that ended in order", r)
			}
			if r.Part == 1 && !r.Started.IsZero() && a.Slot.Missed == playlist.MissedSkip && r.Item == 1 && r.Lateness() > a.Slot.Window+j.slowly(time.Second) {
				j.breach("%v: began %v late in a window of %v", r, r.Lateness(), a.Slot.Window)
			}
			if i == 0 {
				continue
			}
			before := rows[i-1]
			again := ""
			switch {
			case before.Outcome == playlist.Complete:
				again = "it was complete"
			case before.Reason == playlist.ReasonPreempted && a.Slot.After == playlist.AfterDrop:
				again = "the slot drops what was interrupted"
			case before.Reason == playlist.ReasonPreempted && a.Slot.After == playlist.AfterRejoin && r.FromFrame != before.FromFrame+before.Frames:
				again = fmt.Sprintf("it goes on at frame %d", r.FromFrame)
			case before.Reason == playlist.ReasonPreempted && a.Slot.After == playlist.AfterRestart && r.FromFrame != 0:
				again = "the slot begins anew"
			case before.Reason == playlist.ReasonPreempted:
			case before.Reason != playlist.ReasonPowerLost && before.Reason != playlist.ReasonStopped:
				again = "nothing asks for more"
			case before.Reason == playlist.ReasonStopped && before.Frames == 0:
			case a.Slot.Missed != playlist.MissedMakeGood:
				again = "the slot makes nothing good"
			default:
				if madeGood++; madeGood > 1 {
					again = "it was made good already"
				}
			}
			if again != "" {
				j.breach("%v follows %v, yet %s", r, before, again)
			}
		}
	}
}

// tapes holds the log against what the cards consumed, frame by frame.
func (j *judgement) tapes() error {
	x := newIndex(j.site.clips)
	for name, card := range j.site.cards {
		t, err := readTape(card)
		if err != nil {
			return err
		}
		for _, l := range j.lives {
			base, end := l.base[name], min(l.ends[name], int64(len(t.frames)))
			if end > base {
				if at, ok := t.when(base); ok {
					j.figures.opened = append(j.figures.opened, at.Sub(l.start))
				}
			}
			spans, unknown := x.explain(t.frames, base, end)
			for _, u := range unknown {
				j.breach("%s, life %d: frames %d to %d on tape are of no clip", name, l.n, u[0]-base, u[1]-base)
			}
			j.spans += len(spans)
			var rows []*row
			for _, r := range j.rows {
				if r.life == l && r.Output == name && r.Part > 0 {
					rows = append(rows, r)
				}
			}
			// Those whose place is known first.
			slices.SortStableFunc(rows, func(a, b *row) int {
				return cmp.Compare(b2i(a.Started.IsZero()), b2i(b.Started.IsZero()))
			})
			for _, r := range rows {
				j.hear(t, r, spans, base, end)
			}
			for _, s := range spans {
				if s.torn {
					j.torn++
				}
				if !s.taken {
					at, _ := t.when(s.at)
					j.breach("%s, life %d: %v, at %s, and no row claims it", name, l.n, shifted(s, base), at.UTC().Format("15:04:05.000"))
				}
			}
		}
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func shifted(s *span, base int64) *span {
	c := *s
	c.at, c.end = s.at-base, s.end-base
	return &c
}

// hear holds one row against the tape of its life.
func (j *judgement) hear(t *tape, r *row, spans []*span, base, end int64) {
	c := j.site.clips[r.Clip]
	if c == nil {
		j.breach("%v: of a clip %s that there is not", r, r.Clip.Short())
		return
	}
	var found *span
	for _, s := range spans {
		if s.taken || s.clip != c {
			continue
		}
		ahead := s.from - r.FromFrame // what a fade or a clip's first silence hides
		if ahead < -atCut || ahead > playlist.Rate/2 {
			continue
		}
		if !r.Started.IsZero() {
			if d := s.at - ahead - base - r.AtFrame; d < -atCut || d > atCut {
				continue
			}
		} else if !r.late || end-s.end > playlist.Rate/2 {
			continue
		}
		found = s
		break
	}
	if found != nil {
		found.taken = true
		r.heard = found.to - r.FromFrame
		j.sound += found.end - found.at
	}
	if r.Started.IsZero() && r.Frames > 0 {
		j.breach("%v: frames that began at no instant", r)
		return
	}
	if n := j.ranDry(r); n > 0 {
		j.dry++
		j.squeezed(r, found, spans, base, int64(n)*dryFrames)
		return
	}
	if !r.Started.IsZero() {
		if d := r.Frames - r.OfFrames + r.FromFrame; d > 0 {
			j.breach("%v: %d frames more than the clip has", r, d)
		}
		j.compare(t, r, c, found, base, end)
		if at, ok := t.when(base + r.AtFrame); ok {
			off := r.Started.Sub(at).Abs()
			j.off = max(j.off, off)
			if off > j.slowly(startOff) {
				j.breach("%v: began at %v, the card says %v", r, r.Started.Format("15:04:05.000"), at.UTC().Format("15:04:05.000"))
			}
		}
	}
	if !r.late {
		return
	}
	lacks := r.heard - r.Frames
	j.behind = max(j.behind, lacks)
	limit := unwritten
	if r.Started.IsZero() {
		limit = unnoted
	}
	if lacks > playlist.FramesIn(j.slowly(limit)) {
		j.breach("%v: %d frames on tape are %.1f s more than it says", r, r.heard, float64(lacks)/playlist.Rate)
	}
}

// ranDry is how often a row's output did while it sounded, or just before.
func (j *judgement) ranDry(r *row) int {
	if r.life == nil || r.Started.IsZero() {
		return 0
	}
	to := r.Ended
	if r.late {
		to = r.life.end
	}
	return r.life.dry(r.Output, r.Started.Add(-2*time.Second), to.Add(time.Second))
}

// squeezed holds a row against the tape where its output ran dry: its clip is
// there about its place, as long as the row says but for so many frames.
func (j *judgement) squeezed(r *row, found *span, spans []*span, base, slack int64) {
	c := j.site.clips[r.Clip]
	from, to := base+r.AtFrame-slack, base+r.AtFrame+r.Frames+slack
	if r.late {
		to += playlist.FramesIn(unwritten)
	}
	heard := int64(0)
	for _, s := range spans {
		if s.clip == c && (s == found || !s.taken && s.at >= from && s.end <= to) {
			s.taken = true
			heard += s.to - s.from
		}
	}
	r.heard = heard
	if lacks := r.Frames - heard; lacks > slack+playlist.Rate/2 {
		j.breach("%v: its output ran dry, yet %d frames are not on tape", r, lacks)
	}
}

// compare holds the frames that a row tells of against the tape.
func (j *judgement) compare(t *tape, r *row, c *clip, found *span, base, end int64) {
	at := base + r.AtFrame
	if found != nil && found.torn {
		if d := r.heard - r.Frames; !r.late && (d < -2*atCut || d > 4) {
			j.breach("%v: %d frames on tape", r, r.heard)
		}
		return
	}
	if at+r.Frames > end {
		j.breach("%v: from frame %d on, but the tape of its life ends at %d", r, r.AtFrame, end-base)
		return
	}
	differ, slips := differing(t.frames[at:end], c.frames[r.FromFrame:r.FromFrame+r.Frames])
	j.torn += b2i(slips > 0)
	whole := r.Outcome == playlist.Complete && r.FromFrame == 0 && r.FromFrame+r.Frames == r.OfFrames
	if whole && differ > 0 || differ > 2*atCut {
		j.breach("%v: %d of its frames are not on tape at frame %d of its life", r, differ, r.AtFrame)
	}
	if found != nil && !r.late && found.to > r.FromFrame+r.Frames+atCut {
		j.breach("%v: %d frames more on tape", r, found.to-r.FromFrame-r.Frames)
	}
}

// chosen is one item of an airing, on all its outputs: one clip, taken from
// the playlist once.
type chosen struct {
	rows    []*row
	clip    playlist.ClipID
	sounded bool
	since   time.Time // of its first claim
	closed  time.Time // its last row
}

// cursors walks each playlist through the clips that were claimed: none
// repeated, none passed over, save that a clip that did not sound is given
// back where nobody has taken another meanwhile.
func (j *judgement) cursors(ctx context.Context) error {
	store, err := data.OpenReadOnly(ctx, j.site.data())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	rows := slices.Clone(j.rows)
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.id, b.id) })
	lists := map[string][]*chosen{}
	last := map[playlist.RowKey]*chosen{}
	for _, r := range rows {
		if r.Part == 0 || r.life == nil {
			continue
		}
		k := playlist.RowKey{Airing: r.Airing, Item: r.Item}
		since := r.life.start.Add(time.Duration(r.MonoMS)*time.Millisecond - r.life.up)
		g := last[k]
		// What was given back is chosen anew.
		if g == nil || !g.sounded && g.closed.Before(since) {
			g = &chosen{clip: r.Clip, since: since}
			last[k] = g
			lists[r.Playlist] = append(lists[r.Playlist], g)
		}
		g.rows = append(g.rows, r)
		g.sounded = g.sounded || r.Frames > 0 || !r.Started.IsZero()
		if r.made.After(g.closed) {
			g.closed = r.made
		}
		if g.clip != r.Clip {
			j.breach("%v: another clip than %s, which the airing has elsewhere", r, j.name(g.clip))
		}
	}
	for list, order := range lists {
		states := []playlist.Cursor{{}}
		for n, g := range order {
			var next []playlist.Cursor
			for _, v := range j.inForce(g.since) {
				pl, _ := j.site.versions[v].programme.Playlist(list)
				for _, s := range states {
					if id, after, ok := pl.Next(s); ok && id == g.clip && !slices.Contains(next, after) {
						next = append(next, after)
					}
				}
			}
			if len(next) == 0 {
				j.breach("playlist %s: %v took %s behind %s; expected another", list, g.rows[0], j.name(g.clip), j.names(states))
				// Go on from what was taken.
				pl, _ := j.site.versions[j.site.latest()].programme.Playlist(list)
				next = []playlist.Cursor{{Round: states[0].Round, Index: slices.Index(pl.Clips, g.clip), Last: g.clip}}
			}
			if g.sounded {
				states = next
				continue
			}
			alone := n == 0 || order[n-1].closed.Before(g.since)
			if alone && n+1 < len(order) && g.closed.Before(order[n+1].since) || alone && n+1 == len(order) {
				continue // it must have been given back
			}
			for _, s := range next {
				if !slices.Contains(states, s) {
					states = append(states, s)
				}
			}
		}
		at, err := store.Cursor(ctx, list)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(states, func(s playlist.Cursor) bool { return s.Last == at.Last }) {
			j.breach("playlist %s: the cursor stands at %s, not at %s", list, j.name(at.Last), j.names(states))
		}
	}
	return nil
}

func (j *judgement) name(id playlist.ClipID) string {
	if c := j.site.clips[id]; c != nil {
		return c.name
	}
	return cmp.Or(id.Short(), "the beginning")
}

func (j *judgement) names(states []playlist.Cursor) string {
	var all []string
	for _, s := range states {
		all = append(all, j.name(s.Last))
	}
	return strings.Join(all, " or ")
}

// summary tells what was seen.
func (j *judgement) summary(due int) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(j.out, "  %-34s %s\n", what, fmt.Sprintf(format, args...))
	}
	var kinds []string
	for _, k := range j.kinds {
		if n := j.figures.byKind[k.name]; n > 0 {
			kinds = append(kinds, fmt.Sprintf("%s %d", k.name, n))
		}
	}
	first, last := j.lives[0].start, j.lives[len(j.lives)-1].end
	line("kills", "%d in %v: %s", j.kills, last.Sub(first).Round(time.Second), strings.Join(kinds, ", "))
	line("rows due", "%d", due)
	outcomes := map[string]int{}
	late := 0
	for _, r := range j.rows {
		outcomes[strings.TrimSpace(string(r.Outcome)+" "+string(r.Reason))]++
		late += b2i(r.late)
	}
	line("rows in the log", "%d, of which cut off and closed later %d", len(j.rows), late)
	var names []string
	for o := range outcomes {
		names = append(names, o)
	}
	slices.Sort(names)
	for _, o := range names {
		line("", "%5d %s", outcomes[o], o)
	}
	line("sound on tape that rows claim", "%.1f s in %d pieces", float64(j.sound)/playlist.Rate, j.spans)
	line("most that a row cut off lacks", "%.2f s", float64(j.behind)/playlist.Rate)
	line("first frame, log against card", "within %v", j.off.Round(time.Microsecond))
	if j.foreign > 0 {
		line("off, by a config of another hour", "%d", j.foreign)
	}
	if j.torn > 0 {
		line("clips held to the wall clock", "%d", j.torn)
	}
	if j.dry > 0 {
		line("rows whose output ran dry", "%d, held to their clips but not frame by frame", j.dry)
	}
	slices.Sort(j.figures.opened)
	if n := len(j.figures.opened); n > 0 {
		line("start of the process to sound card", "median %v, longest %v", j.figures.opened[n/2].Round(time.Millisecond), j.figures.opened[n-1].Round(time.Millisecond))
	}
	line("SIGTERM to the end", "%v", j.figures.closing.Round(time.Millisecond))
}
