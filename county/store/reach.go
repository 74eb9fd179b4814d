package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// sums are what is counted of items, down the ladder of evidence.
type sums struct{ planned, delivered, started, completed, persons int64 }

func (s *sums) add(o sums, sign int64) {
	s.planned += sign * o.planned
	s.delivered += sign * o.delivered
	s.started += sign * o.started
	s.completed += sign * o.completed
	s.persons += sign * o.persons
}

type tallyKey struct {
	level   int64
	area    string
	day     int64
	billing int64
}

// numbering is what the numbers in a set stand for.
type numbering int

const (
	byOutput  numbering = iota // outputs
	byEarshot                  // outputs with the residents that they had
)

// presenceKey names one block of numbers, of one clip on one day, or of all
// clips ([anyBilling]).
type presenceKey struct {
	of                  numbering
	day, billing, block int64
}

// anyBilling stands for all clips.
const anyBilling = 0

const blockBits = 4096

// clips is the table of the sets of each clip.
func (n numbering) clips() string {
	if n == byEarshot {
		return "earshot_presence"
	}
	return "presence"
}

// table is where the block is kept, and what picks it there.
func (k presenceKey) table() (name, where string, args []any) {
	if k.billing == anyBilling {
		return k.of.clips() + "_day", "day = ?1 AND block = ?2", []any{k.day, k.block}
	}
	return k.of.clips(), "day = ?1 AND block = ?2 AND billing = ?3", []any{k.day, k.block, k.billing}
}

// marks are the numbers of a block that a batch speaks of.
type marks struct{ targeted, reached, doubt []int64 }

// marksOf finds what the batch says of a number on a day: of the clip, and of all
// clips.
func (b *intake) marksOf(of numbering, day, billing, n int64) (both [2]*marks) {
	for i, k := range []presenceKey{{of, day, billing, n / blockBits}, {of, day, anyBilling, n / blockBits}} {
		m := b.marks[k]
		if m == nil {
			m = &marks{}
			b.marks[k] = m
		}
		both[i] = m
	}
	return both
}

// mark notes that a clip was to air on a day, and whether it completed.
func (b *intake) mark(of numbering, day, billing, n int64, completed bool) {
	for _, m := range b.marksOf(of, day, billing, n) {
		m.targeted = append(m.targeted, n)
		if completed {
			m.reached = append(m.reached, n)
		}
	}
}

// doubt notes that an item proves less of a number than it did: others must say
// whether that still holds.
func (b *intake) doubt(of numbering, day, billing, n int64) {
	for _, m := range b.marksOf(of, day, billing, n) {
		m.doubt = append(m.doubt, n)
	}
}

// writeSums writes the sums and marks of the receipts taken in.
func (b *intake) writeSums(ctx context.Context) error {
	keys := slices.SortedFunc(maps.Keys(b.tallies), func(x, y tallyKey) int {
		return cmp.Or(cmp.Compare(x.level, y.level), cmp.Compare(x.area, y.area), cmp.Compare(x.day, y.day), cmp.Compare(x.billing, y.billing))
	})
	var rows, areas [][]any
	seen := map[[2]any]bool{}
	for _, k := range keys {
		s := b.tallies[k]
		if s == (sums{}) {
			continue
		}
		rows = append(rows, []any{k.level, k.area, k.day, k.billing, s.planned, s.delivered, s.started, s.completed, s.persons})
		if a := [2]any{k.level, k.area}; !seen[a] {
			seen[a] = true
			areas = append(areas, []any{k.level, k.area})
		}
	}
	err := insertMany(ctx, b.tx, "INSERT INTO tally (level, area, day, billing, planned, delivered, started, completed, persons) VALUES ",
		` ON CONFLICT (level, area, day, billing) DO UPDATE SET planned = tally.planned + excluded.planned,
		delivered = tally.delivered + excluded.delivered, started = tally.started + excluded.started,
		completed = tally.completed + excluded.completed, persons = tally.persons + excluded.persons`, rows)
	if err != nil {
		return err
	}
	err = insertMany(ctx, b.tx, "INSERT INTO tally_area (level, area) VALUES ", " ON CONFLICT (level, area) DO NOTHING", areas)
	if err != nil {
		return err
	}
	return b.writeMarks(ctx)
}

// writeMarks brings the sets up to date, and forgets the marks.
func (b *intake) writeMarks(ctx context.Context) error {
	// Single clips before all clips, which are proven by them.
	blocks := slices.SortedFunc(maps.Keys(b.marks), func(x, y presenceKey) int { return cmp.Compare(y.billing, x.billing) })
	for _, k := range blocks {
		if err := b.present(ctx, k, b.marks[k]); err != nil {
			return err
		}
	}
	clear(b.marks)
	return nil
}

// present brings one block up to date.
func (b *intake) present(ctx context.Context, k presenceKey, m *marks) error {
	var targeted, reached set
	table, where, args := k.table()
	err := b.tx.row(ctx, "SELECT targeted, reached FROM "+table+" WHERE "+where, args...).Scan(&targeted, &reached)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	changed := false
	if k.billing == anyBilling && len(m.doubt) > 0 {
		if targeted, reached, err = union(ctx, b.tx, k); err != nil {
			return err
		}
		m.doubt, changed = nil, true
	}
	for _, n := range m.doubt {
		was, got, err := b.prove(ctx, k, n, targeted.has(n%blockBits), reached.has(n%blockBits))
		if err != nil {
			return err
		}
		changed = targeted.put(n%blockBits, was) || changed
		changed = reached.put(n%blockBits, got) || changed
	}
	for _, n := range m.targeted {
		changed = targeted.put(n%blockBits, true) || changed
	}
	for _, n := range m.reached {
		changed = reached.put(n%blockBits, true) || changed
	}
	if !changed {
		return nil
	}
	return putSets(ctx, b.tx, k, targeted, reached)
}

func putSets(ctx context.Context, tx conn, k presenceKey, targeted, reached set) error {
	table, _, args := k.table()
	args = append(args, append([]byte{}, targeted...), append([]byte{}, reached...)) // nil would be NULL
	key, values := "day, block, billing", "?1, ?2, ?3, ?4, ?5"
	if k.billing == anyBilling {
		key, values = "day, block", "?1, ?2, ?3, ?4"
	}
	return tx.exec(ctx, fmt.Sprintf(`INSERT INTO %s (%s, targeted, reached) VALUES (%s)
		ON CONFLICT (%[2]s) DO UPDATE SET targeted = excluded.targeted, reached = excluded.reached`, table, key, values), args...)
}

// union is what the clips of a day say together of a block.
func union(ctx context.Context, tx conn, k presenceKey) (targeted, reached set, err error) {
	err = tx.each(ctx, "SELECT targeted, reached FROM "+k.of.clips()+" WHERE day = ?1 AND block = ?2", []any{k.day, k.block},
		func(scan func(...any) error) error {
			var t, r set
			err := scan(&t, &r)
			targeted.join(t, 0)
			reached.join(r, 0)
			return err
		})
	return targeted, reached, err
}

// fillDays makes the sets of all clips together, if an earlier program kept
// those of each clip alone.
func (s *Store) fillDays(ctx context.Context) error {
	const want = "NOT EXISTS (SELECT 1 FROM presence_day) AND EXISTS (SELECT 1 FROM presence)"
	var n int
	if err := s.read().row(ctx, "SELECT CASE WHEN "+want+" THEN 1 ELSE 0 END").Scan(&n); err != nil || n == 0 {
		return err
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		var blocks [][2]int64
		err := tx.each(ctx, "SELECT DISTINCT day, block FROM presence WHERE "+want, nil, func(scan func(...any) error) error {
			var b [2]int64
			err := scan(&b[0], &b[1])
			blocks = append(blocks, b)
			return err
		})
		if err != nil {
			return err
		}
		for _, b := range blocks {
			k := presenceKey{byOutput, b[0], anyBilling, b[1]}
			targeted, reached, err := union(ctx, tx, k)
			if err == nil {
				err = putSets(ctx, tx, k, targeted, reached)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// prove looks through a controller's receipts for a clip on an output and a
// day. It takes as long as the controller has been there, and is needed only
// if a correction took a proof away. For a day whose receipts may be deleted by
// now it believes the sets as they are.
func (b *intake) prove(ctx context.Context, k presenceKey, n int64, targetedNow, reachedNow bool) (targeted, reached bool, err error) {
	var forgotten int64
	err = b.tx.row(ctx, "SELECT CAST(value AS BIGINT) FROM setting WHERE key = ?1", stateForgotten).Scan(&forgotten)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, false, err
	}
	if err == nil && k.day <= forgotten {
		return targetedNow, reachedNow, nil
	}
	e := earshot{output: n}
	if k.of == byEarshot {
		if err := b.tx.row(ctx, "SELECT output, residents FROM earshot WHERE id = ?1", n).Scan(&e.output, &e.residents); err != nil {
			return false, false, err
		}
	}
	all, err := b.verdicts(ctx, k.day, e.output)
	for _, v := range all {
		if v.billing == k.billing && (k.of == byOutput || v.residents == e.residents) {
			targeted, reached = true, reached || v.completed > 0
		}
	}
	return targeted, reached, err
}

// verdicts are what the receipts prove of each item on an output and a day.
func (b *intake) verdicts(ctx context.Context, day, output int64) (all []verdict, err error) {
	from, to := b.s.dayBounds(day)
	items := map[itemKey][]part{}
	err = b.tx.each(ctx, "SELECT "+partColumns+` FROM receipt r JOIN billing b ON b.id = r.billing JOIN strand s ON s.id = r.strand
		WHERE r.epoch IN (SELECT e.id FROM epoch e JOIN output o ON o.controller = e.controller WHERE o.id = ?1) AND r.output = ?1
		AND r.due >= ?2 AND r.due < ?3 AND r.superseded = 0 AND s.alert = ''`, []any{output, from.UnixMicro(), to.UnixMicro()},
		func(scan func(...any) error) error {
			k, p, err := scanPart(scan)
			items[k] = append(items[k], p)
			return err
		})
	for _, parts := range items {
		if v, ok := judge(parts); ok {
			all = append(all, v)
		}
	}
	return all, err
}

// dayBounds are the first instant of a day and that of the next.
func (s *Store) dayBounds(day int64) (from, to time.Time) {
	y, m, d := time.Unix(day*86400, 0).UTC().Date()
	return playlist.StartOfDay(y, m, d, s.zone), playlist.StartOfDay(y, m, d+1, s.zone)
}

// set is a set of small numbers, a bit each.
type set []byte

func (s *set) put(n int64, yes bool) (changed bool) {
	i, bit := int(n/8), byte(1)<<(n%8)
	if i >= len(*s) {
		if !yes {
			return false
		}
		*s = append(*s, make([]byte, i+1-len(*s))...)
	}
	was := (*s)[i]&bit != 0
	if yes {
		(*s)[i] |= bit
	} else {
		(*s)[i] &^= bit
	}
	return was != yes
}

func (s set) has(n int64) bool {
	i := int(n / 8)
	return i < len(s) && s[i]&(1<<(n%8)) != 0
}

// join adds the numbers of another set, moved up by whole bytes.
func (s *set) join(o []byte, at int64) {
	from := int(at / 8)
	if need := from + len(o); need > len(*s) {
		*s = append(*s, make([]byte, need-len(*s))...)
	}
	part := (*s)[from:]
	for i, c := range o {
		part[i] |= c
	}
}

// common calls f with every number that is in o too; s was moved up by whole bytes.
func (s set) common(o set, at int64, f func(int64)) {
	for i := at / 8; i < int64(len(o)) && i-at/8 < int64(len(s)); i++ {
		set{o[i] & s[i-at/8]}.each(func(n int64) { f(i*8 + n) })
	}
}

// each calls f with every number.
func (s set) each(f func(int64)) {
	for i, c := range s {
		for ; c != 0; c &= c - 1 {
			f(int64(i*8 + bits.TrailingZeros8(c)))
		}
	}
}

// Grouping is what a county's reach report has a line for.
type Grouping string

// The groupings. By area the lines are those of the level below the area asked
// for: towns of a county, villages of a town.
const (
	BySeries Grouping = "series"
	ByIssue  Grouping = "issue"
	ByClip   Grouping = "clip"
	ByArea   Grouping = "area"
	ByDay    Grouping = "day"
)

// ParseGrouping reads a grouping's name.
func ParseGrouping(s string) (Grouping, error) {
	switch g := Grouping(s); g {
	case BySeries, ByIssue, ByClip, ByArea, ByDay:
		return g, nil
	}
	return "", fmt.Errorf("%w: no grouping %q: series, issue, clip, area or day", playlist.ErrInvalid, s)
}

// ReachQuery asks for a report on the airings due on the days From to To, both
// included, in an area and below.
type ReachQuery struct {
	By       Grouping
	From, To playlist.Date // empty: no bound
	Area     playlist.Area // empty: all
}

// ReachReport is whom the airings reached. Planned counts what a receipt
// speaks of and what none does; the latter is Unknown as well. It is not known
// which clip it would have been: by series, issue and clip it stands in a line
// of its own, whose key is [KeyUnknown].
// Counts belong to the area that a zone had when it aired; Reached and
// Residents to the one that it has now. An airing belongs to the day on which it fell
// due in the county's zone.
type ReachReport struct {
	By      Grouping
	Lines   []asrun.Reach
	Total   asrun.Reach
	Changed []Change // by controller and output
}

// Change is an output that had not the same residents at all airings of a report.
type Change struct {
	Controller playlist.ControllerID `json:"controller"`
	Output     string                `json:"output"`
	Figures    []Figure              `json:"figures"` // by day
}

// Figure is how many residents an output had in earshot from an airing on.
type Figure struct {
	Residents int           `json:"residents"`
	Since     playlist.Date `json:"since"` // day of that airing
}

// KeyUnknown is the key of the line for airings of which no receipt speaks.
const KeyUnknown = "?"

// noBilling stands for what no receipt speaks of.
const noBilling = -1

// line is a group on its way into a report.
type line struct {
	asrun.Reach
	targeted, reached set       // of earshots
	silent            []earshot // outputs without a receipt
}

func (l *line) count(s sums) {
	l.Planned += int(s.planned)
	l.Delivered += int(s.delivered)
	l.Started += int(s.started)
	l.Completed += int(s.completed)
	l.PersonAirings += s.persons
}

// report is one report being made.
type report struct {
	s        *Store
	q        ReachQuery
	from, to int64
	outputs  map[int64]Output // those in the area asked for
	earshots []earshot        // by number; of other areas' outputs: zero
	several  set              // earshots whose output has more than one
	aired    map[seen]bool    // those of several that aired
	counted  []int            // room for residentsOf: by output
	billings map[int64]billing
	lines    map[string]*line
	total    line
	named    map[[2]any]*line
}

type seen struct{ earshot, day int64 }

// Reach makes a report. It looks at sums and sets kept day by day, never at
// receipts.
func (s *Store) Reach(ctx context.Context, q ReachQuery) (ReachReport, error) {
	r := &report{s: s, q: q, from: -1 << 40, to: 1 << 40, lines: map[string]*line{}, outputs: map[int64]Output{},
		aired: map[seen]bool{}, billings: map[int64]billing{}, named: map[[2]any]*line{}}
	for _, b := range []struct {
		date playlist.Date
		day  *int64
	}{{q.From, &r.from}, {q.To, &r.to}} {
		if b.date == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, string(b.date))
		if err != nil {
			return ReachReport{}, fmt.Errorf("%w: %q is no date", playlist.ErrInvalid, b.date)
		}
		*b.day = t.Unix() / 86400
	}
	for _, step := range []func(context.Context) error{r.load, r.sums, r.presence, r.silence} {
		if err := step(ctx); err != nil {
			return ReachReport{}, err
		}
	}
	return r.finish(), nil
}

func (r *report) load(ctx context.Context) error {
	all, err := loadOutputs(ctx, r.s.read(), "")
	if err != nil {
		return err
	}
	for _, o := range all {
		if r.q.Area == "" || o.Area.Within(r.q.Area) {
			r.outputs[o.ID] = o
			r.counted = grow(r.counted, o.ID)
		}
	}
	if err := r.loadEarshots(ctx); err != nil {
		return err
	}
	return r.s.read().each(ctx, "SELECT id, clip, title, series, issue FROM billing", nil, func(scan func(...any) error) error {
		var id int64
		var b billing
		if err := scan(&id, &b.clip, &b.title, &b.series, &b.issue); err != nil {
			return err
		}
		r.billings[id] = b
		return nil
	})
}

// grow makes a list long enough for a number.
func grow[T any](list []T, n int64) []T {
	return append(list, make([]T, max(0, int(n)+1-len(list)))...)
}

func (r *report) loadEarshots(ctx context.Context) error {
	first := map[int64]int64{} // by output
	return loadEarshots(ctx, r.s.read(), func(id int64, e earshot) {
		if _, ok := r.outputs[e.output]; !ok {
			return
		}
		r.earshots = grow(r.earshots, id)
		r.earshots[id] = e
		if other, ok := first[e.output]; ok {
			r.several.put(other, true)
			r.several.put(id, true)
		}
		first[e.output] = id
	})
}

// span are the least and the greatest area code within the area asked for.
func (r *report) span() (lo, hi string) {
	head := digits(r.q.Area)
	return head + strings.Repeat("0", 12-len(head)), head + strings.Repeat("9", 12-len(head))
}

// digits are the digits of an area without its trailing zero groups.
func digits(a playlist.Area) string {
	s := string(a)
	for _, n := range []int{9, 6, 4, 2} {
		if len(s) > n && strings.Trim(s[n:], "0") == "" {
			s = s[:n]
		}
	}
	return s
}

// villages reports whether the area asked for is a town or less: its lines by
// area are villages, and sums by town are too coarse for less than one.
func (r *report) villages() bool { return len(digits(r.q.Area)) >= 9 }

// byClip reports whether the lines are of clips, or of what they belong to.
func (r *report) byClip() bool { return r.q.By != ByArea && r.q.By != ByDay }

// level is the coarsest at which the sums hold what is asked for.
func (r *report) level() int64 {
	depth := len(digits(r.q.Area))
	switch {
	case r.byClip() && depth == 12:
		return byVillageAndClip
	case r.byClip() && depth == 9:
		return byTownAndClip
	case r.byClip():
		return byCountyAndClip
	case depth == 12, r.q.By == ByArea && r.villages():
		return byVillage
	}
	return byTown
}

func (r *report) sums(ctx context.Context) error {
	level, column := r.level(), "billing"
	switch r.q.By {
	case ByArea:
		column = "area"
	case ByDay:
		column = "day"
	}
	lo, hi := r.span()
	// The zone of a town itself, or of an unknown village, lies in no village.
	query := fmt.Sprintf(`SELECT %s, CAST(sum(planned) AS BIGINT), CAST(sum(delivered) AS BIGINT), CAST(sum(started) AS BIGINT),
		CAST(sum(completed) AS BIGINT), CAST(sum(persons) AS BIGINT) FROM tally
		WHERE level = ?1 AND area IN (SELECT area FROM tally_area WHERE level = ?1 AND area >= ?2 AND area <= ?3)
		AND day >= ?4 AND day <= ?5 GROUP BY 1`, column)
	return r.s.read().each(ctx, query, []any{level, lo, hi, r.from, r.to}, func(scan func(...any) error) error {
		var (
			key any
			s   sums
		)
		if err := scan(&key, &s.planned, &s.delivered, &s.started, &s.completed, &s.persons); err != nil {
			return err
		}
		r.line(key).count(s)
		r.total.count(s)
		return nil
	})
}

// line finds the line of a billing, a day or an area.
func (r *report) line(key any) *line {
	if b, ok := key.([]byte); ok {
		key = string(b)
	}
	known := [2]any{r.q.By, key}
	if l := r.named[known]; l != nil {
		return l
	}
	var reach asrun.Reach
	switch k := key.(type) {
	case string:
		reach.Key, reach.Title = k, k
	case int64:
		if r.q.By == ByDay {
			reach.Key = string(DayDate(k))
			reach.Title = reach.Key
			break
		}
		if k == noBilling {
			reach.Key = KeyUnknown
			break
		}
		b := r.billings[k]
		switch r.q.By {
		case BySeries:
			reach.Key, reach.Title = b.series, b.series
		case ByIssue:
			reach.Series, reach.Issue = b.series, int(b.issue)
			if b.series != "" || b.issue != 0 {
				reach.Key = fmt.Sprintf("%s/%d", b.series, b.issue)
			}
			reach.Title = b.title
		default:
			reach = asrun.Reach{Key: b.clip, Title: b.title, Series: b.series, Issue: int(b.issue)}
		}
	}
	l := r.lines[reach.Key]
	if l == nil {
		l = &line{Reach: reach}
		r.lines[reach.Key] = l
	}
	r.named[known] = l
	return l
}

func (r *report) presence(ctx context.Context) error {
	var day, billing, block int64
	var targeted, reached sql.RawBytes
	query := "SELECT day, billing, block, targeted, reached FROM earshot_presence WHERE day >= ?1 AND day <= ?2"
	if !r.byClip() {
		query = "SELECT day, CAST(0 AS BIGINT), block, targeted, reached FROM earshot_presence_day WHERE day >= ?1 AND day <= ?2"
	}
	return r.s.read().each(ctx, query, []any{r.from, r.to}, func(scan func(...any) error) error {
		if err := scan(&day, &billing, &block, &targeted, &reached); err != nil {
			return err
		}
		at := block * blockBits
		set(targeted).common(r.several, at, func(id int64) { r.aired[seen{id, day}] = true })
		r.total.targeted.join(set(targeted), at)
		r.total.reached.join(set(reached), at)
		if r.q.By == ByArea {
			return nil
		}
		key := billing
		if r.q.By == ByDay {
			key = day
		}
		l := r.line(key)
		l.targeted.join(set(targeted), at)
		l.reached.join(set(reached), at)
		return nil
	})
}

// silence adds what no receipt speaks of.
func (r *report) silence(ctx context.Context) error {
	column := "CAST(0 AS BIGINT)"
	if r.q.By == ByDay {
		column = "s.day"
	}
	query := "SELECT s.output, coalesce(s.residents, o.residents), " + column + `, CAST(sum(s.items) AS BIGINT)
		FROM silence s JOIN output o ON o.id = s.output WHERE s.day >= ?1 AND s.day <= ?2 GROUP BY 1, 2, 3`
	return r.s.read().each(ctx, query, []any{r.from, r.to}, func(scan func(...any) error) error {
		var e earshot
		var day, items int64
		if err := scan(&e.output, &e.residents, &day, &items); err != nil {
			return err
		}
		o, ok := r.outputs[e.output]
		if !ok {
			return nil
		}
		var l *line
		switch r.q.By {
		case ByDay:
			l = r.line(day)
		case ByArea:
			l = r.line(r.areaLine(o))
		default:
			l = r.line(int64(noBilling))
		}
		for _, l := range []*line{l, &r.total} {
			l.Planned += int(items)
			l.Unknown += int(items)
			l.silent = append(l.silent, e)
		}
		return nil
	})
}

// areaLine is the area by whose line an output is counted.
func (r *report) areaLine(o Output) string {
	if r.villages() {
		return string(o.Area)
	}
	return town(string(o.Area))
}

func (r *report) finish() ReachReport {
	if r.q.By == ByArea {
		for _, kind := range []struct{ from, to func(*line) *set }{
			{func(l *line) *set { return &l.targeted }, func(l *line) *set { return &l.targeted }},
			{func(l *line) *set { return &l.reached }, func(l *line) *set { return &l.reached }},
		} {
			kind.from(&r.total).each(func(id int64) {
				if o, ok := r.outputs[r.at(id).output]; ok {
					kind.to(r.line(r.areaLine(o))).put(id, true)
				}
			})
		}
	}
	out := ReachReport{By: r.q.By, Lines: []asrun.Reach{}}
	for _, l := range r.lines {
		if reach := r.reachOf(l); reach.Planned > 0 {
			out.Lines = append(out.Lines, reach)
		}
	}
	slices.SortFunc(out.Lines, func(a, b asrun.Reach) int {
		return cmp.Or(cmp.Compare(flag(a.Key == KeyUnknown), flag(b.Key == KeyUnknown)), cmp.Compare(a.Series, b.Series), cmp.Compare(a.Issue, b.Issue),
			cmp.Compare(a.Key, b.Key))
	})
	out.Total = r.reachOf(&r.total)
	out.Changed = r.changed()
	return out
}

// at is the earshot of a number; the zero one if its output lies in another area.
func (r *report) at(id int64) earshot {
	if id < int64(len(r.earshots)) {
		return r.earshots[id]
	}
	return earshot{}
}

// reachOf is a line with the residents of its sets, each output once.
func (r *report) reachOf(l *line) asrun.Reach {
	l.Residents = r.residentsOf(l.targeted, l.silent)
	l.Reached = r.residentsOf(l.reached, nil)
	reached := map[int64]bool{} // outputs
	if len(l.silent) > 0 {
		l.reached.each(func(id int64) { reached[r.at(id).output] = true })
	}
	l.ResidentsUnknown = r.residentsOf(nil, slices.DeleteFunc(slices.Clone(l.silent), func(e earshot) bool { return reached[e.output] }))
	return l.Reach
}

// residentsOf sums the residents of outputs, each once.
func (r *report) residentsOf(earshots set, silent []earshot) (sum int) {
	clear(r.counted)
	count := func(e earshot) {
		if e.output >= int64(len(r.counted)) {
			return
		}
		was := r.counted[e.output]
		r.counted[e.output] = asrun.OutputResidents(was, int(e.residents))
		sum += r.counted[e.output] - was
	}
	earshots.each(func(id int64) { count(r.at(id)) })
	for _, e := range silent {
		count(e)
	}
	return sum
}

// changed lists the outputs whose residents changed.
func (r *report) changed() (all []Change) {
	list := slices.SortedFunc(maps.Keys(r.aired), func(a, b seen) int {
		x, y := r.outputs[r.at(a.earshot).output], r.outputs[r.at(b.earshot).output]
		return cmp.Or(cmp.Compare(x.Controller, y.Controller), cmp.Compare(x.Name, y.Name), cmp.Compare(a.day, b.day), cmp.Compare(a.earshot, b.earshot))
	})
	for part := range chunks(list, func(s seen) int64 { return r.at(s.earshot).output }) {
		figures := r.figures(part)
		if len(figures) < 2 {
			continue
		}
		o := r.outputs[r.at(part[0].earshot).output]
		c := Change{Controller: o.Controller, Output: o.Name}
		for _, f := range figures {
			c.Figures = append(c.Figures, Figure{f.Residents, playlist.Date(f.Since.Format(time.DateOnly))})
		}
		all = append(all, c)
	}
	return all
}

// figures are those of one output, day by day. Of several on a day the one that it had
// the day before comes first and the one that it has the day after last.
func (r *report) figures(list []seen) (figures []asrun.Figure) {
	of := func(s seen) int { return int(r.at(s.earshot).residents) }
	days := slices.Collect(chunks(list, func(s seen) int64 { return s.day }))
	for i, today := range days {
		place := func(s seen) int {
			switch n := len(figures); {
			case n > 0 && figures[n-1].Residents == of(s):
				return 0
			case i+1 < len(days) && slices.ContainsFunc(days[i+1], func(next seen) bool { return next.earshot == s.earshot }):
				return 2
			}
			return 1
		}
		slices.SortStableFunc(today, func(a, b seen) int { return cmp.Compare(place(a), place(b)) })
		begin, _ := r.s.dayBounds(today[0].day)
		for _, s := range today {
			figures = asrun.AddFigure(figures, asrun.Figure{Residents: of(s), Since: begin})
		}
	}
	return figures
}

// chunks yields the runs of a list whose elements have one key.
func chunks[T any, K comparable](list []T, key func(T) K) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(list) > 0 {
			n := 1
			for n < len(list) && key(list[n]) == key(list[0]) {
				n++
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// Due is an airing that fell due by a manifest.
type Due struct {
	Slot    string // as rows name it
	Due     time.Time
	Items   int     // clips of the airing
	Outputs []int64 // on which it should have sounded
}

// Account notes which of the airings that fell due up to an instant no receipt
// speaks of. Those are unknown, until a receipt comes. It does so in bites, so
// that no other writer waits long; what a crash cuts off is done again.
func (s *Store) Account(ctx context.Context, due []Due, upTo time.Time) error {
	for _, d := range due {
		for outputs := range slices.Chunk(d.Outputs, 500) {
			err := s.write(ctx, func(ctx context.Context, tx conn) error { return s.accountFor(ctx, tx, d, outputs) })
			if err != nil {
				return err
			}
		}
	}
	return s.SetSetting(ctx, "accounted", upTo.UTC().Format(time.RFC3339Nano))
}

func (s *Store) accountFor(ctx context.Context, tx conn, d Due, outputs []int64) error {
	var list strings.Builder
	for i, o := range outputs {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "%d", o)
	}
	return tx.exec(ctx, `INSERT INTO silence (output, slot, due, day, items, residents)
		SELECT o.id, CAST(?1 AS TEXT), CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), CAST(?4 AS BIGINT), o.residents FROM output o WHERE o.id IN (`+list.String()+`)
		AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.strand IN (SELECT id FROM strand WHERE slot = ?1 AND airing = '')
		AND r.due = ?2 AND r.output = o.id) ON CONFLICT (slot, due, output) DO NOTHING`,
		clean(d.Slot), d.Due.UnixMicro(), s.Day(d.Due), int64(d.Items))
}

// Accounted is the instant up to which [Store.Account] has gone; zero if it
// never has.
func (s *Store) Accounted(ctx context.Context) (time.Time, error) {
	v, err := s.Setting(ctx, "accounted")
	if err != nil || v == "" {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, v)
}
