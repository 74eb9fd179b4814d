package emergency

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"dalaba/playlist"
)

// MaxName is the longest identifier or sender of a message, in bytes. A message
// with a longer one is refused: it cannot be referred to.
const MaxName = 256

// limits is the most of an alert that is kept.
type limits struct {
	texts               int // languages
	title, text, advice int // characters, of each text
	name                int // characters, of an event, a sender's name, a sound's name
	areas               int
	shapes, points      int // points of all shapes; at least 9 for each shape
	refs, audio         int
	elsewhere           int
}

// accepted is far more than an honest message holds. The largest seen have 20,000
// points, and texts of 5,000 characters.
var accepted = limits{
	texts: 8, title: 500, text: 8000, advice: 4000, name: 250,
	areas: 2000, shapes: 200, points: 25_000, refs: 500, audio: 16, elsewhere: 500,
}

// spoken is the most of a text that is read out: some fifteen minutes.
var spoken = limits{title: 200, text: 3000, advice: 1000}

// steps are how an alert is simplified that has no room as it is, the gentlest
// first.
var steps = []limits{
	{texts: 4, title: 300, text: 4000, advice: 2000, name: 100, areas: 1000, shapes: 100, points: 2000, refs: 200, elsewhere: 50},
	{texts: 2, title: spoken.title, text: spoken.text, advice: spoken.advice, name: 100, areas: 300, shapes: 20, points: 200, refs: 50, elsewhere: 20},
	{texts: 1, title: spoken.title, text: spoken.text, advice: spoken.advice, name: 60, areas: 100, shapes: 1, points: 9, refs: 20, elsewhere: 5},
	{texts: 1, title: 100, text: 600, advice: 200, name: 40, areas: 20, shapes: 1, points: 9, refs: 5, elsewhere: 1},
}

// Steps is how many steps [Alert.Simplified] has.
var Steps = len(steps)

// Cut says what of an alert was left out.
type Cut struct {
	What      string // a key of playlist/say, for the two numbers
	Had, Kept int
}

// The kinds of cuts.
const (
	CutLanguages = "alert.cut_languages"
	CutText      = "alert.cut_text"   // characters
	CutSpoken    = "alert.cut_spoken" // characters; they are kept, and not read out
	CutName      = "alert.cut_name"   // characters
	CutAreas     = "alert.cut_areas"
	CutShapes    = "alert.cut_shapes"
	CutPoints    = "alert.cut_points"
	CutRefs      = "alert.cut_refs"
	CutAudio     = "alert.cut_audio"
	CutElsewhere = "alert.cut_elsewhere"
)

// Bounded returns the alert with no more in it than one message may have, and what
// was left out, or is not read out. It is for no fewer places than before: of too many
// areas the larger ones that hold them are left, of too fine a shape the box round
// it. The alert must not be changed before its signature was checked.
func (a Alert) Bounded() (Alert, []Cut) {
	b, cuts := a.within(accepted)
	heard := cutter{cuts: cuts}
	for _, t := range b.Texts {
		var c cutter
		if c.one(t, spoken); len(c.cuts) > 0 {
			heard.note(CutSpoken, c.cuts[0].Had, c.cuts[0].Kept)
		}
	}
	return b, heard.cuts
}

// Simplified returns the alert with as much left out as that step says, 1 to
// [Steps]. What people are to hear is left out last. Bounded holds of it too.
func (a Alert) Simplified(step int) Alert {
	b, _ := a.within(steps[step-1])
	return b
}

func (a Alert) within(l limits) (Alert, []Cut) {
	var c cutter
	a.SenderName, a.Event, a.EventCode = c.name(a.SenderName, l), c.name(a.Event, l), c.name(a.EventCode, l)
	a.Signature.By = c.name(a.Signature.By, accepted)
	a.Sent, a.NotBefore, a.NotAfter = sensible(a.Sent), sensible(a.NotBefore), sensible(a.NotAfter)
	a.Texts = c.texts(a, l)
	a.Areas = c.areas(a.Areas, l.areas)
	a.Shapes = c.shapes(a.Shapes, l)
	a.Audio = c.audio(a.Audio, l)
	a.Elsewhere = first(&c, CutElsewhere, a.Elsewhere, l.elsewhere)
	for i, s := range a.Elsewhere {
		if short := c.name(s, l); short != s {
			a.Elsewhere = slices.Clone(a.Elsewhere)
			a.Elsewhere[i] = short
		}
	}
	// A reference that is longer than any ID means nothing here.
	if slices.ContainsFunc(a.Refs, tooLong) {
		had := len(a.Refs)
		a.Refs = slices.DeleteFunc(slices.Clone(a.Refs), tooLong)
		c.note(CutRefs, had, len(a.Refs))
	}
	a.Refs = first(&c, CutRefs, a.Refs, l.refs)
	return a, c.cuts
}

// tooLong reports whether a reference is longer than an ID made of the longest
// sender, the longest identifier and a time.
func tooLong(ref playlist.AlertID) bool { return len(ref) > 2*MaxName+64 }

// sensible is a time that can be written: years have four digits.
func sensible(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.Year() > 9999:
		return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	case t.Year() < 1:
		return time.Time{}
	}
	return t
}

// cutter cuts, and notes what it cut.
type cutter struct{ cuts []Cut }

// note notes a cut; of several of a kind, the largest.
func (c *cutter) note(what string, had, kept int) {
	i := slices.IndexFunc(c.cuts, func(x Cut) bool { return x.What == what })
	switch {
	case i < 0:
		c.cuts = append(c.cuts, Cut{what, had, kept})
	case had > c.cuts[i].Had:
		c.cuts[i] = Cut{what, had, kept}
	}
}

func first[T any](c *cutter, what string, all []T, most int) []T {
	if len(all) <= most {
		return all
	}
	c.note(what, len(all), most)
	return all[:most:most]
}

func (c *cutter) name(s string, l limits) string { return c.text(CutName, s, l.name) }

// text cuts a text after most characters, at the end of a sentence if there is
// one in its second half.
func (c *cutter) text(what, s string, most int) string {
	if len(s) <= most {
		return s
	}
	n, at, sentence := 0, -1, -1
	for i, r := range s {
		if n == most {
			at = i
		}
		if n++; at < 0 && 2*n > most && strings.ContainsRune("。！？；!?;.\n", r) {
			sentence = i + len(string(r))
		}
	}
	if at < 0 {
		return s
	}
	if sentence > 0 && what == CutText {
		at = sentence
	}
	c.note(what, n, most)
	return s[:at]
}

// texts keeps the first languages, and always the one that is spoken here.
func (c *cutter) texts(a Alert, l limits) []Text {
	all := a.Texts
	if len(all) > l.texts {
		c.note(CutLanguages, len(all), l.texts)
		own, _ := a.Text("zh-CN")
		all = slices.Clone(all[:l.texts])
		if !slices.Contains(all, own) {
			all[l.texts-1] = own
		}
	}
	for i, t := range all {
		if short := c.one(t, l); short != t {
			if &all[0] == &a.Texts[0] {
				all = slices.Clone(all)
			}
			all[i] = short
		}
	}
	return all
}

func (c *cutter) one(t Text, l limits) Text {
	return Text{
		Language: c.name(t.Language, limits{name: 40}), Title: c.text(CutText, t.Title, l.title),
		Text: c.text(CutText, t.Text, l.text), Advice: c.text(CutText, t.Advice, l.advice),
	}
}

// areas puts the areas that hold them in the place of too many.
func (c *cutter) areas(all []playlist.Area, most int) []playlist.Area {
	had := len(all)
	for _, digits := range []int{9, 6, 4, 2} {
		if len(all) <= most {
			break
		}
		seen := map[playlist.Area]bool{}
		var larger []playlist.Area
		for _, a := range all {
			if len(a) > digits {
				a = a[:digits] + playlist.Area(strings.Repeat("0", len(a)-digits))
			}
			if !seen[a] {
				seen[a] = true
				larger = append(larger, a)
			}
		}
		all = larger
	}
	if len(all) < had {
		c.note(CutAreas, had, len(all))
	}
	return first(c, CutAreas, all, max(most, 89)) // there are no more provinces
}

// audio keeps the sounds that came along before those that are only named.
func (c *cutter) audio(all []Audio, l limits) []Audio {
	if len(all) > l.audio {
		all = slices.Clone(all)
		named := func(x Audio) int { return min(1, len(x.Data)+len(x.Unfit)) }
		slices.SortStableFunc(all, func(x, y Audio) int { return cmp.Compare(named(y), named(x)) })
		all = first(c, CutAudio, all, l.audio)
	}
	for i, x := range all {
		y := x
		y.Name, y.MediaType, y.Digest = c.name(x.Name, l), c.name(x.MediaType, l), c.name(x.Digest, l)
		if len(y.URI) > maxURI {
			y.URI = ""
			c.note(CutName, len(x.URI), 0)
		}
		if y.Name != x.Name || y.MediaType != x.MediaType || y.Digest != x.Digest || y.URI != x.URI {
			all = slices.Clone(all)
			all[i] = y
		}
	}
	return all
}

// maxURI is the longest address, in bytes.
const maxURI = 2048

// shapes puts boxes in the place of too many shapes and of those with too many
// points.
func (c *cutter) shapes(all []Shape, l limits) []Shape {
	if len(all) > l.shapes {
		c.note(CutShapes, len(all), l.shapes)
		all = append(slices.Clone(all[:l.shapes-1]), boxRound(all[l.shapes-1:]))
	}
	total := 0
	for _, s := range all {
		total += len(s.Points)
	}
	if had := total; total > l.points {
		all = slices.Clone(all)
		order := make([]int, len(all))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return len(all[j].Points) - len(all[i].Points) })
		for _, i := range order {
			if total <= l.points {
				break
			}
			total -= len(all[i].Points)
			all[i] = boxRound(all[i : i+1])
			total += len(all[i].Points)
		}
		c.note(CutPoints, had, total)
	}
	return all
}

// boxMargin is by how many degrees a box is larger than what it holds: some
// hundred metres.
const boxMargin = 0.001

// boxRound is a polygon round all of the shapes, along latitudes and longitudes.
func boxRound(all []Shape) Shape {
	b := all[0].box()
	for _, s := range all[1:] {
		b = b.with(s.box())
	}
	b = b.grown(boxMargin)
	var points [][2]float64
	for i := range 4 { // an edge of more than half the earth would go the other way round
		points = append(points, [2]float64{b.south, b.west + (b.east-b.west)*float64(i)/3})
	}
	for i := range 4 {
		points = append(points, [2]float64{b.north, b.east - (b.east-b.west)*float64(i)/3})
	}
	return Shape{Points: append(points, points[0])}
}

// box is what lies between two latitudes and two longitudes, which may be more
// than 180 degrees.
type box struct{ south, north, west, east float64 }

var wholeEarth = box{-91, 91, -181, 181}

// box is the box round a shape.
func (s Shape) box() box {
	if len(s.Points) == 0 {
		return wholeEarth // there is no sense in it: it may be anywhere
	}
	at := s.Points[0]
	if s.RadiusKM > 0 || len(s.Points) == 1 {
		lat := s.RadiusKM / 110 // a degree has some more kilometres than that
		if math.Abs(at[0])+lat >= 89 {
			return wholeEarth
		}
		lon := lat / math.Cos((math.Abs(at[0])+lat)*math.Pi/180)
		return box{at[0] - lat, at[0] + lat, at[1] - lon, at[1] + lon}
	}
	b, lon := box{at[0], at[0], at[1], at[1]}, at[1]
	for i := 1; i < len(s.Points); i++ {
		lon += east(s.Points[i][1], s.Points[i-1][1])
		b.south, b.north = min(b.south, s.Points[i][0]), max(b.north, s.Points[i][0])
		b.west, b.east = min(b.west, lon), max(b.east, lon)
	}
	return b
}

// with is the box round both.
func (b box) with(c box) box {
	turn := 360 * math.Round(((b.west+b.east)-(c.west+c.east))/720)
	return box{min(b.south, c.south), max(b.north, c.north), min(b.west, c.west+turn), max(b.east, c.east+turn)}
}

// grown is a box that is larger by a margin, and not larger than the earth.
func (b box) grown(by float64) box {
	b = box{b.south - by, b.north + by, b.west - by, b.east + by}
	if !(b.south <= b.north && b.east-b.west < 359) { // or a part of it is no number
		return wholeEarth
	}
	return b
}
