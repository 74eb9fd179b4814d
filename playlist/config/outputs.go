package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

func itoa(n int) string { return strconv.Itoa(n) }

// names keeps the names of one kind apart.
type names map[string]place

// maxName is how many characters a name may have.
const maxName = 40

// nameRune reports whether a character may be in a name.
func nameRune(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || c == '-' || c == '_' }

// name reads a name that goes into IDs and command lines: letters, digits,
// Chinese, - and _. Empty if it is absent or bad.
func (s *section) name(taken names, example string) string {
	n := s.goodName(taken, example)
	if n == "" {
		s.r.nameless[s.kind()]++
	}
	return n
}

func (s *section) goodName(taken names, example string) string {
	if !s.need("name", `name = "`+example+`"`) {
		return ""
	}
	s.form("name", asName)
	n := s.text("name", example)
	if n == "" {
		return ""
	}
	at := s.place("name")
	for _, c := range n {
		if !nameRune(c) {
			s.misread("name", s.t.find("name").val, say.M("config.name_letter", shown(string(c))), say.M("config.name_letter_remedy"))
			return ""
		}
	}
	if len([]rune(n)) > maxName {
		s.r.fault(at, s.at("name"), say.M("config.long", maxName), say.M("config.long_remedy"))
		return ""
	}
	if first, twice := taken[n]; twice {
		s.r.fault(at, s.at("name"), say.M("config.name_twice", n, s.r.src.line(first)), say.M("config.name_twice_remedy"))
		return n
	}
	taken[n] = at
	return n
}

func (r *reader) readOutputs(list []*section) {
	taken, devices := names{}, names{}
	for _, s := range list {
		var o playlist.Output
		o.Name = s.name(taken, "村口")
		if o.Name != "" {
			r.outputs = append(r.outputs, o.Name)
		}
		o.Device = s.device()
		if same := sameDevice(o.Device); same != "" {
			if first, twice := devices[same]; twice {
				s.fault("device", say.M("config.device_twice", shown(o.Device), r.src.line(first)), say.M("config.device_twice_remedy"))
			} else {
				devices[same] = s.place("device")
			}
		}
		o.Area = r.out.Site.Area
		if !s.lacks("area") {
			o.Area = s.area()
		}
		o.Residents = s.whole("residents", 0, 0, 1_000_000)
		o.LevelDB = s.level("level_db", 0, -60, 0)
		if m, ok := r.lib.(Mixers); ok && o.LevelDB != 0 {
			if control := m.NoScale(o.Device); control != "" {
				s.fault("level_db", say.M("config.no_scale", shown(o.Device), control), say.M("config.no_scale_remedy"))
			}
		}
		o.ExtraDelay = s.span("extra_delay", 0, 0, 2*time.Second)
		o.CloseIdle = s.choice("idle", "silence", "silence", "close") == "close"
		s.rest()
		r.out.Outputs = append(r.out.Outputs, o)
	}
}

// Sound cards by their ALSA names; with a colon, what follows is ALSA's.
var cards = []string{"hw", "plughw", "default", "sysdefault", "plug", "dmix"}

// Names that an asound.conf may give; written with alsa: so that a slip of
// the pen is not taken for one.
var pcm = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// device is "auto", "null:", "wav:" and a path, or the name of an ALSA PCM.
func (s *section) device() string {
	s.form("device", asDevice)
	v := s.want("device", unstable.String, say.M("config.quote_remedy", "device", DefaultDevice))
	if v == nil {
		return DefaultDevice
	}
	d := s.plain("device", v, DefaultDevice)
	if d == "" {
		return ""
	}
	scheme, rest, colon := strings.Cut(d, ":")
	switch {
	case d == "auto", d == "null:":
		return d
	case d == "default", d == "sysdefault":
		s.doubtDevice(v, d)
		return d
	case scheme == "wav" && colon:
		if strings.TrimSpace(rest) == "" {
			s.r.fault(v.at, s.at("device"), say.M("config.wav"), say.M("config.wav_remedy"))
			return ""
		}
		s.foreign("device", v, rest)
		s.r.files = append(s.r.files, s.r.path(rest))
		return "wav:" + s.r.path(rest)
	case slices.Contains(cards, scheme) && rest != "":
		s.doubtDevice(v, d)
		return d
	case scheme == "alsa" && pcm.MatchString(rest):
		s.doubtDevice(v, rest)
		return rest
	}
	remedy := say.M("config.device_remedy")
	if slices.Contains(servers, scheme) {
		remedy = say.M("config.device_card_remedy")
	}
	s.garbled("device", v, say.M("config.device", shown(d)), s.advice("device", d, remedy))
	return ""
}

// Sound servers and mixers by their ALSA names.
var servers = []string{"default", "sysdefault", "dmix", "pulse", "pipewire", "jack"}

// byNumber are devices whose card is named by its number.
var byNumber = regexp.MustCompile(`^[a-z]+:(?:CARD=)?(\d+)(?:,(?:DEV=)?(\d+))?(?:,|$)`)

// doubtDevice warns of a device that may be another one tomorrow.
func (s *section) doubtDevice(v *value, device string) {
	device = strings.TrimPrefix(device, "plug:")
	scheme, rest, _ := strings.Cut(device, ":")
	number := byNumber.FindStringSubmatch(device)
	switch {
	case unnamedCard.MatchString(rest):
		s.r.problem(Warning, v.at, s.at("device"), say.M("config.device_nameless", shown(device)), say.M("config.device_card_remedy"))
	case strings.Contains(rest, " ") && device == plainly(device):
		s.r.problem(Warning, v.at, s.at("device"), say.M("config.device_space", shown(device)), written(deviceAsMeant(v.text)))
	case device != plainly(device):
		s.r.problem(Warning, v.at, s.at("device"), say.M("config.device_wide", shown(device)), written(plainly(v.text)))
	case slices.Contains(servers, scheme):
		s.r.problem(Warning, v.at, s.at("device"), say.M("config.device_server", shown(device)), say.M("config.device_card_remedy"))
	case number != nil:
		remedy := say.M("config.device_card_remedy")
		if l, ok := s.r.lib.(Cards); ok {
			if name := l.CardByNumber(number[1]); name != "" {
				if dev := number[2]; dev != "" && dev != "0" {
					name += ",DEV=" + dev
				}
				remedy = written(name)
			}
		}
		s.r.problem(Warning, v.at, s.at("device"), say.M("config.device_number", shown(device)), remedy)
	}
}

// sameDevice is what two names of one device have in common; empty for those
// that any number of outputs may share.
func sameDevice(d string) string {
	if d == "null:" {
		return ""
	}
	return strings.TrimPrefix(d, "plug")
}

const maxSpans = 200 // quiet or daypart tables

// daily reads from, to and days. ok is false if one of them was reported.
func (s *section) daily() (span playlist.Span, ok bool) {
	before := len(s.r.problems)
	var fromOK, toOK bool
	if s.need("from", `from = "22:00"`) {
		s.form("from", notAt("24:00"))
		span.From, fromOK = s.clock("from")
	}
	if s.need("to", `to = "06:30"`) {
		span.To, toOK = s.clock("to")
	}
	switch {
	case fromOK && span.From == 24*60:
		s.fault("from", say.M("config.from_midnight"), say.M("config.from_midnight_remedy"))
	case fromOK && toOK && span.From == span.To:
		s.fault("to", say.M("config.span_empty"), say.M("config.span_empty_remedy"))
	}
	span.Days = s.days("days")
	return span, fromOK && toOK && len(s.r.problems) == before
}

// overlap reports that a span shares minutes with an earlier one.
func (s *section) overlap(span playlist.Span, earlier []playlist.Span, where []place, what, remedy string) bool {
	for i, e := range earlier {
		if span.Overlaps(e) {
			if (span.Days | e.Days).ByCalendar() {
				remedy = "config.calendar_overlap_remedy"
			}
			s.r.fault(s.t.at, s.path, say.M(what, s.r.src.line(where[i])), say.M(remedy))
			return true
		}
	}
	return false
}

func (r *reader) quiet(list []*section) {
	var spans []playlist.Span
	var where []place
	for i, s := range list {
		if i == maxSpans {
			r.fault(s.t.at, s.path, say.M("config.too_many", maxSpans), say.M("config.too_many_remedy"))
			return
		}
		span, ok := s.daily()
		s.rest()
		if !ok || s.overlap(span, spans, where, "config.quiet_overlap", "config.quiet_overlap_remedy") {
			r.vague = true
			continue
		}
		spans, where = append(spans, span), append(where, s.t.at)
		r.out.Quiet = append(r.out.Quiet, playlist.Quiet{Span: span})
	}
}

func (r *reader) dayparts(list []*section) {
	var spans []playlist.Span
	var where []place
	for i, s := range list {
		if i == maxSpans {
			r.fault(s.t.at, s.path, say.M("config.too_many", maxSpans), say.M("config.too_many_remedy"))
			return
		}
		span, ok := s.daily()
		d := playlist.Daypart{Span: span}
		if s.need("level_db", "level_db = -6") {
			d.LevelDB = s.level("level_db", 0, -60, 12)
		}
		s.rest()
		if !ok || s.overlap(span, spans, where, "config.daypart_overlap", "config.daypart_overlap_remedy") {
			continue
		}
		spans, where = append(spans, span), append(where, s.t.at)
		r.out.Dayparts = append(r.out.Dayparts, d)
	}
}

func (r *reader) readPlaylists(list []*section) {
	taken := names{}
	for _, s := range list {
		var p playlist.Playlist
		p.Name = s.name(taken, "健康微课堂")
		if p.Name != "" {
			r.playlists = append(r.playlists, p.Name)
			r.listed = append(r.listed, s)
		}
		if p.Title = s.text("title", "健康微课堂"); p.Title == "" {
			p.Title = p.Name
		}
		p.Order = playlist.Order(s.choice("order", string(playlist.Sequence), string(playlist.Sequence), string(playlist.Shuffle)))
		switch {
		case r.learning:
			s.series()
			s.clips()
		case s.has("clips") && s.has("series"):
			s.get("clips")
			s.get("series")
			s.fault("series", say.M("config.clips_and_series"), say.M("config.clips_and_series_remedy"))
		case s.has("series"):
			p.Clips = s.series()
		case s.has("clips"):
			p.Clips = s.clips()
		default:
			if s.r.keys == nil || s.strange() {
				break
			}
			s.r.fault(s.t.at, s.path, say.M("config.no_clips"), say.M("config.no_clips_remedy"))
		}
		s.asks = append(s.asks, "clips", "series")
		slices.Sort(s.asks)
		s.asks = slices.Compact(s.asks)
		s.rest()
		r.out.Playlists = append(r.out.Playlists, p)
	}
}

func (s *section) series() []playlist.ClipID {
	n := s.text("series", "健康微课堂")
	if n == "" {
		return nil
	}
	s.r.out.Series = append(s.r.out.Series, n)
	clips := s.r.lib.Series(n)
	if len(clips) == 0 {
		s.noSeries(n)
	}
	var ids []playlist.ClipID
	for _, c := range clips {
		if !slices.Contains(ids, c.ID) {
			ids = append(ids, c.ID)
			s.r.measure(c)
		}
	}
	return ids
}

// Lists reports whether a playlist names a series; true if there is none to name.
func (c *Config) Lists(series string) bool { return series == "" || slices.Contains(c.Series, series) }

// ListOf returns a playlist's name for a series.
func ListOf(series string) string {
	name := []rune(strings.Map(func(c rune) rune {
		if !nameRune(c) {
			return '-'
		}
		return c
	}, series))
	return string(name[:min(len(name), maxName)])
}

// noSeries reports a series of which there is no clip, once. Without a library nothing
// is known of any. If there is an inbox the first clips may come that way, and
// until then the playlist is empty.
func (s *section) noSeries(name string) {
	r := s.r
	if r.blind || r.barren || r.noSeries[name] {
		return
	}
	if r.noSeries == nil {
		r.noSeries = map[string]bool{}
	}
	r.noSeries[name] = true
	v := s.t.find("series").val
	what, remedy := say.M("config.series_empty", shown(name)), say.M("config.series_empty_remedy")
	if _, slip := hidden(v.text); r.out.Inbox != "" && !slip {
		r.problem(Warning, v.at, s.at("series"), what, say.M("config.series_awaited", filepath.Join(r.out.Inbox, shown(name))))
		return
	}
	if l, ok := r.lib.(Stock); ok && !l.Stocked() {
		r.barren = true
		what, remedy = say.M("config.no_library", r.out.Site.DataDir), say.M("config.no_library_remedy")
	}
	s.misread("series", v, what, remedy)
}

func (r *reader) measure(c playlist.Clip) {
	if r.lengths == nil {
		r.lengths = map[playlist.ClipID]time.Duration{}
	}
	r.lengths[c.ID] = c.Length()
}

// clips is each clip once: a cursor names a clip and so could not tell two
// places of one clip apart.
func (s *section) clips() []playlist.ClipID {
	s.form("clips", asClips(s.r.lib))
	list, _ := s.words("clips", "clips/*.mp3")
	var ids []playlist.ClipID
	in, written := map[playlist.ClipID]bool{}, names{}
	for _, v := range list {
		text := strings.TrimSpace(v.text)
		if text == "" {
			s.r.fault(v.at, s.at("clips"), say.M("config.empty"), say.M("config.empty_remedy", "clips/*.mp3"))
			continue
		}
		if first, twice := written[text]; twice {
			s.r.fault(v.at, s.at("clips"), say.M("config.clip_twice", shown(text), s.r.src.line(first)), say.M("config.clip_twice_remedy"))
			continue
		}
		written[text] = v.at
		if info, err := os.Stat(s.r.path(text)); err == nil && info.IsDir() {
			all := strings.TrimRight(text, "/") + "/*.mp3"
			s.r.fault(v.at, s.at("clips"), say.M("config.clips_folder", shown(text)), say.M("config.clips_folder_remedy", shown(all)))
			continue
		}
		if s.noClip(v, text, len(list) == 1) {
			continue
		}
		found := s.found(v, text)
		for _, c := range found {
			if !in[c.ID] {
				in[c.ID] = true
				ids = append(ids, c.ID)
				s.r.measure(c)
			}
		}
	}
	return ids
}

// noClip reports an entry of clips that is the name of a series, or words that are no
// file's. alone says whether it is the only one.
func (s *section) noClip(v *value, text string, alone bool) bool {
	_, err := playlist.ParseClipID(text)
	if err == nil || shortID.MatchString(text) || strings.ContainsAny(text, `/\.*?[`) {
		return false
	}
	if _, err := os.Stat(s.r.path(text)); err == nil {
		return false
	}
	remedy := say.M("config.clip_title_remedy")
	if len(s.r.lib.Series(text)) > 0 {
		remedy = say.M("config.clip_series_remedy", text)
		if alone {
			remedy = seriesInstead(text)
		}
	}
	s.misread("clips", v, say.M("config.clip_title", shown(text)), remedy)
	return true
}

// seriesInstead is the remedy for clips that are a series.
func seriesInstead(name string) say.Message {
	return say.M("config.syntax_write_remedy", "series", quote(name))
}

// found returns the clips that an entry of clips names: one by its ID or the beginning
// of that, or those of the files that a pattern matches.
func (s *section) found(v *value, text string) []playlist.Clip {
	missing := func(id string) {
		if !s.r.blind {
			s.misread("clips", v, say.M("config.clip_missing", id), say.M("config.clip_missing_remedy"))
		}
	}
	lib, short := s.r.lib.(Beginnings)
	switch id, err := playlist.ParseClipID(text); {
	case err == nil:
		if c, ok := s.r.lib.Clip(id); ok {
			return []playlist.Clip{c}
		}
		missing(id.Short())
		return nil
	case short && shortID.MatchString(text):
		all := lib.Beginning(strings.ToLower(text))
		switch len(all) {
		case 1:
			return all
		case 0:
			missing(text)
		default:
			s.misread("clips", v, say.M("config.clip_unclear", text, len(all)), say.M("config.clip_unclear_remedy"))
		}
		return nil
	}
	s.r.patterns = append(s.r.patterns, text)
	found, err := s.r.lib.Glob(s.r.pattern(text))
	switch {
	case errors.Is(err, filepath.ErrBadPattern):
		s.misread("clips", v, say.M("config.glob_bracket", shown(text)), say.M("config.glob_bracket_remedy"))
	case err != nil:
		bad := apart(err)
		remedy := say.M("config.clip_bad_remedy", s.r.importer(), shellWord(s.r.path(text)))
		first := slices.IndexFunc(bad, func(err error) bool { return !convertible(err) })
		if first >= 0 {
			remedy = say.M("config.clip_lost_remedy")
		}
		what := say.M("config.clip_bad", shown(text), bad[max(first, 0)])
		if len(bad) > 1 {
			what = say.M("config.clips_bad", shown(text), len(bad), bad[max(first, 0)])
		}
		s.r.fault(v.at, s.at("clips"), what, remedy)
	case len(found) == 0 && strings.Contains(text, "["):
		s.misread("clips", v, say.M("config.glob_empty_bracket", shown(text)), say.M("config.glob_bracket_remedy"))
	case len(found) == 0:
		s.misread("clips", v, say.M("config.glob_empty", shown(text)), say.M("config.glob_empty_remedy", s.r.path(text)))
	}
	return found
}

// convertible reports whether an import makes a clip of a file that cannot air as it
// is: the error, or one that a message is about, says so.
func convertible(err error) bool {
	var by interface{ Convertible() bool }
	if errors.As(err, &by) {
		return by.Convertible()
	}
	var m say.Message
	return errors.As(err, &m) && slices.ContainsFunc(m.Args, func(arg any) bool {
		about, ok := arg.(error)
		return ok && convertible(about)
	})
}

// importer is the command that makes clips of files for this config.
func (r *reader) importer() string {
	if r.tables.importer == pushed.importer || r.file == "dalaba.toml" || r.file == "/etc/dalaba/dalaba.toml" {
		return r.tables.importer
	}
	return r.tables.importer + " -c " + shellWord(r.file)
}

// shortID is the beginning of a clip's ID, as lists show it.
var shortID = regexp.MustCompile(`^[0-9a-fA-F]{6,63}$`)

// shellWord writes a pattern of files as one types it in a shell, which is to expand
// it.
func shellWord(pattern string) string {
	return strings.NewReplacer(" ", `\ `, "(", `\(`, ")", `\)`, "&", `\&`, "'", `\'`, `"`, `\"`, ";", `\;`).Replace(pattern)
}

// apart takes joined errors apart.
func apart(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}
