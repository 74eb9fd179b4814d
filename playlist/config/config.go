package config

import (
	"bytes"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// Library is what the reader asks about clips.
type Library interface {
	// Clip finds a clip by ID.
	Clip(id playlist.ClipID) (playlist.Clip, bool)

	// Series returns the clips of a series by issue, none if there is no such
	// series.
	Series(name string) []playlist.Clip

	// Glob takes the files that a pattern matches into the library and is
	// their clips by file name. Errors of single files are joined and come
	// with the clips of the others. A pattern without a match is no error.
	Glob(pattern string) ([]playlist.Clip, error)
}

// Beginnings is what a [Library] may be besides: then a config may name clips by the
// beginning of their IDs.
type Beginnings interface {
	// Beginning returns the clips whose IDs begin with those lower-case digits.
	Beginning(digits string) []playlist.Clip
}

// Clock is what a [Library] may be besides: then a slot whose days are all over
// gets a warning.
type Clock interface {
	Now() time.Time
}

// Stock is what a [Library] may be besides: then of one that is not there yet one
// problem is reported, and not one of each series.
type Stock interface {
	Stocked() bool
}

// Mixers is what a [Library] may be besides, if a person reads the problems: then
// a level_db is refused that asks for a level in hardware of a card which has no
// scale for it.
type Mixers interface {
	// NoScale names the control that should take the level of a device and has
	// no scale in dB; empty if there is none or it has one.
	NoScale(device string) string
}

// Cards is what a [Library] may be besides: then a sound card given by its number is
// called by the name that stays its own.
type Cards interface {
	// CardByNumber is the device of a card, such as "plughw:CARD=Device"; empty if there
	// is no such card.
	CardByNumber(number string) string
}

// Machine is what a [Library] may be besides: then files for emergencies and programs that
// are not there get a warning.
type Machine interface {
	HasFile(path string) bool
	HasProgram(name string) bool // by its path, or on PATH
}

// Reader is what a [Library] may be besides, if a person reads the problems: then files
// that the daemon may not read, or that prove no sender, are told.
type Reader interface {
	// Unread is what keeps the daemon of a data folder from using a file that a key of
	// [alert] names, and the remedy; ok is false if nothing is known against it.
	Unread(dataDir, key, path string) (what, remedy say.Message, ok bool)
}

// Config is a whole config: the programme, and the settings of the parts that
// are not about what airs when.
type Config struct {
	playlist.Programme

	Series    []string // that playlists name
	Inbox     string   // folder from which new sound is taken; empty: none
	Ingest    Ingest
	Amplifier Amplifier
	Store     Store
	Alert     Alert
	Mic       Mic
	Cache     Cache

	CalendarFaults []Problem // of the lists of holidays, for which Calendar stands in
}

// Ingest says how sound and text become clips.
type Ingest struct {
	FFmpeg  string        // program; empty: looked for on PATH
	FFprobe string        // program; empty: looked for on PATH
	Timeout time.Duration // the most that one run of a program may take, 1 s to 1 h

	// Speech is the program, with its arguments, that reads text on its
	// standard input and writes sound to its standard output; {pace} stands
	// for Pace. Empty: espeak-ng.
	Speech []string
	Pace   int               // words a minute, 80 to 450
	Words  map[string]string // words as written, and as they are to be spoken
}

// Amplifier is the relay that switches the power amplifier.
type Amplifier struct {
	Relay  string        // "gpio:LINE", "serial:PORT" or "command:PROGRAM", each as devices reads it; empty: none
	WarmUp time.Duration // on this much before the first frame, 0 to 30 s
	Hold   time.Duration // off this much after the last frame, 0 to 10 min
}

// Alert says where emergency messages come from and whose signatures hold. How
// they sound is in the programme's [playlist.AlertRules].
type Alert struct {
	Drop    string            // folder from which messages are taken; empty: none
	Anchors []string          // PEM files of certificates whose signatures on CAP messages hold
	EBD     []string          // files of certificates of EBD senders, 143 bytes each
	EBDCA   []string          // files of the keys one of which must have signed those; none: they are believed as they are
	Generic map[string]string // clip files by event code, "default" for all others
}

// Mic is the emergency microphone.
type Mic struct {
	Capture []string // program and arguments; S16LE mono at 48 kHz on its standard output; empty: no microphone
	Trigger string   // "gpio:LINE" that is high while it is to be heard; empty: only the verb
}

// Cache says which neighbours have clips, and whether this controller is one.
type Cache struct {
	Peers []string // "http://HOST:PORT", asked for clips before the county
	Serve string   // "HOST:PORT" or ":PORT" on which its own are handed out; empty: nowhere
}

// Store says what is kept, and for how long.
type Store struct {
	Backups int // daily backups kept, 1 to 90
	Days    int // days that as-run rows are kept, once a county that waits for them has them; 0: for ever
}

// Defaults of keys that a config may leave out.
const (
	DefaultZone     = "Asia/Shanghai"
	DefaultLanguage = string(say.Chinese)
	DefaultDevice   = "auto"
	DefaultTimeout  = 15 * time.Minute
	DefaultPace     = 160
	DefaultWarmUp   = 2 * time.Second
	DefaultHold     = 5 * time.Second
	DefaultBackups  = 7
)

// Read reads a whole config. If the text is no TOML, it reports the first error;
// otherwise it reports every problem, in the order of the file. If one of them is
// a [Fault], the config is nil. Relative
// paths in the text are relative to the folder of file, which itself is not
// opened.
func Read(file string, text []byte, lib Library) (*Config, []Problem) {
	return readAll(file, text, lib, false)
}

// ReadGood is [Read] for a text that was in force before. What has become of its clips
// since is a [Warning] then: a folder that is away, or a file that cannot air, must not
// keep a controller from starting.
func ReadGood(file string, text []byte, lib Library) (*Config, []Problem) {
	return readAll(file, text, lib, true)
}

func readAll(file string, text []byte, lib Library, good bool) (*Config, []Problem) {
	r := newReader(file, text, ours)
	r.lib, r.files = lib, []string{file}
	if !r.legible() {
		return nil, r.problems
	}
	dir := DataDir(file, text)
	r.keys, r.blind = ourKeys(), dir == "" || !CanBeFolder(dir)
	if r.root = r.parse(); r.root != nil {
		r.mend(r.root)
		r.config(r.root)
	}
	r.finish()
	for i := range r.problems {
		if p := &r.problems[i]; good && strings.HasPrefix(p.Key, "playlist[") && (strings.HasSuffix(p.Key, ".clips") || strings.HasSuffix(p.Key, ".series")) {
			p.Severity = Warning
		}
	}
	if Refused(r.problems) {
		return nil, r.problems
	}
	return &r.out, r.problems
}

func newReader(file string, text []byte, tables tables) *reader {
	return &reader{
		file: file, src: newSource(bytes.TrimPrefix(text, []byte("\ufeff"))), tables: tables,
		nameless: map[string]int{}, absent: map[string][]*absentee{}, strays: map[int]bool{},
	}
}

// legible reports whether the text is one at all.
func (r *reader) legible() bool {
	text := r.src.text
	if len(text) > MaxSize {
		r.fault(0, "", say.M("config.too_large", MaxSize>>20), say.M("config.too_large_remedy"))
		return false
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		r.fault(place(i), "", say.M("config.nul"), say.M("config.nul_remedy"))
		return false
	}
	if bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') >= 0 {
		r.fault(0, "", say.M("config.lone_returns"), say.M("config.lone_returns_remedy"))
		return false
	}
	if i := badUTF8(text); i >= 0 {
		r.fault(place(i), "", say.M("config.utf8"), say.M("config.utf8_remedy"))
		return false
	}
	return true
}

// finish adds what the TOML library alone finds wrong, and puts all problems
// into the order of the text.
func (r *reader) finish() {
	if l := r.lack; l != nil && !slices.ContainsFunc(r.problems, func(p Problem) bool { return p.Line == r.src.line(r.lackAt) }) {
		r.fault(r.lackAt, "", l.What, l.Remedy)
	}
	r.warnOfHidden()
	// What is wrong with the value of a key that is none is told once the key is right.
	r.problems = slices.DeleteFunc(r.problems, func(p Problem) bool {
		return r.strays[p.Line] && p.What.Key != "config.unknown_key" && p.What.Key != "config.hidden"
	})
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

func badUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// reader is one reading of one text.
type reader struct {
	file     string
	lib      Library
	src      source
	tables   tables
	out      Config
	problems []Problem
	lack     *Problem // what the TOML library alone finds wrong
	lackAt   place
	strays   map[int]bool // lines with a key that is not known
	learning bool         // the tables are empty: it is the keys that are wanted
	suspects []suspect    // values with hidden characters

	keys  *keys // of each table; nil: not known
	blind bool  // there is no library, as its place is not known
	read  []*section

	root      *table
	outputs   []string               // names of outputs, in order
	playlists []string               // names of playlists that stand in the file, good or bad
	lost      bool                   // tables that were not understood, and may be those which are missed
	vague     bool                   // quiet hours have a fault
	silent    []*section             // slots of which every airing falls in quiet hours
	noSeries  map[string]bool        // of which that is reported
	barren    bool                   // it is reported that there is no library
	nameless  map[string]int         // tables of a kind whose name is not known, as that has a fault
	absent    map[string][]*absentee // names that no table of a kind has, in order
	lengths   map[playlist.ClipID]time.Duration
	used      map[string]bool // playlists that a slot names
	listed    []*section      // their tables

	byCalendar *firstByCalendar // nil: nothing does

	watched  []watched // folders from which files are taken
	files    []string  // that the config lives by, itself first
	patterns []string  // of clips, as written
}

func (r *reader) fault(at place, key string, what, remedy say.Message) {
	r.problem(Fault, at, key, what, remedy)
}

func (r *reader) problem(s Severity, at place, key string, what, remedy say.Message) {
	line, column := r.src.position(at)
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Column: column, Key: key, Severity: s, What: what, Remedy: remedy})
}

// exact reports a problem of one character.
func (r *reader) exact(s Severity, at place, key string, what, remedy say.Message) {
	r.problem(s, at, key, what, remedy)
	r.problems[len(r.problems)-1].Exact = true
}

// now is the present, zero if the library does not know it.
func (r *reader) now() time.Time {
	if c, ok := r.lib.(Clock); ok {
		return c.Now().In(r.out.Site.Zone)
	}
	return time.Time{}
}

// path makes a path of the file one that is good from anywhere the file is.
func (r *reader) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(filepath.Dir(r.file), p)
}

var meta = strings.NewReplacer(`\`, `\\`, "[", `\[`, "*", `\*`, "?", `\?`)

// pattern is path for a pattern: the folder of the file is meant as it is
// spelt, whatever its name holds.
func (r *reader) pattern(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(meta.Replace(filepath.Dir(r.file)), p)
}

// tables are those that a file may have.
type tables struct {
	singles []string // that stand once
	lists   []string // that stand any number of times

	importer string // the command that makes clips of files
}

// ours are those of dalaba.toml.
var ours = tables{
	singles:  []string{"site", "calendar", "ingest", "amplifier", "store", "alert", "microphone", "county"},
	lists:    []string{"output", "quiet", "daypart", "playlist", "slot", "local_hours", "exception"},
	importer: "dalaba import",
}

func (t tables) all() []string { return slices.Concat(t.singles, t.lists) }

// brackets are a table's name as its header is written.
func (t tables) brackets(name string) string {
	if slices.Contains(t.lists, name) {
		return "[[" + name + "]]"
	}
	return "[" + name + "]"
}

func (r *reader) config(root *table) {
	site := r.one(root, "site")
	if site == nil && !r.lost {
		r.fault(0, "site", say.M("config.no_site"), say.M("config.no_site_remedy"))
	}
	r.site(site)
	r.calendar(r.one(root, "calendar"))
	r.ingest(r.one(root, "ingest"))
	r.amplifier(r.one(root, "amplifier"))
	r.store(r.one(root, "store"))
	r.alert(r.one(root, "alert"))
	r.microphone(r.one(root, "microphone"))
	r.county(r.one(root, "county"), r.many(root, "local_hours"))
	r.out.County.Exceptions = r.exceptions(r.many(root, "exception"))

	outputs := r.many(root, "output")
	r.readOutputs(outputs)
	switch e := root.find("output"); {
	case e == nil && r.lost:
	case e == nil:
		r.fault(0, "output", say.M("config.no_output"), say.M("config.no_output_remedy"))
	case e.val.kind == unstable.Array && len(e.val.list) == 0:
		r.fault(e.at, "output", say.M("config.no_output"), say.M("config.no_output_remedy"))
	}
	r.quiet(r.many(root, "quiet"))
	r.dayparts(r.many(root, "daypart"))
	r.readPlaylists(r.many(root, "playlist"))
	r.slots(r.many(root, "slot"))
	r.unusedPlaylists()
	r.uncovered()
	r.folders()
}

// one returns a table that may stand once, nil if it is not there.
func (r *reader) one(root *table, name string) *section {
	e := root.find(name)
	if e == nil {
		return nil
	}
	e.seen = true
	switch {
	case e.val.keys != nil:
		return r.section(name, e.val.keys)
	}
	r.lost = true
	r.fault(e.at, name, say.M("config.wrong_type", kindWord(unstable.Table), kindWord(e.val.kind)), say.M("config.brackets_remedy", r.tables.brackets(name)))
	return nil
}

func (r *reader) section(path string, t *table) *section {
	s := &section{r: r, path: path, t: t}
	r.read = append(r.read, s)
	return s
}

// many is the tables that stand any number of times.
func (r *reader) many(root *table, name string) []*section {
	e := root.find(name)
	if e == nil {
		return nil
	}
	e.seen = true
	var tables []*value
	switch {
	case e.val.kind == unstable.ArrayTable, e.val.kind == unstable.Array:
		tables = e.val.list
	case e.val.keys != nil:
		r.fault(e.at, name, say.M("config.many", name), say.M("config.brackets_remedy", r.tables.brackets(name)))
		tables = []*value{e.val}
	default:
		r.nameless[name] = math.MaxInt
		r.fault(e.at, name, say.M("config.wrong_type", kindWord(unstable.ArrayTable), kindWord(e.val.kind)), say.M("config.brackets_remedy", r.tables.brackets(name)))
	}
	var out []*section
	for i, v := range tables {
		path := name + "[" + itoa(i+1) + "]"
		if v.keys == nil {
			r.nameless[name]++
			r.fault(v.at, path, say.M("config.wrong_type", kindWord(unstable.Table), kindWord(v.kind)), say.M("config.brackets_remedy", r.tables.brackets(name)))
			continue
		}
		out = append(out, r.section(path, v.keys))
	}
	return out
}

func (r *reader) site(s *section) {
	out := &r.out.Site
	out.Zone, _ = time.LoadLocation(DefaultZone)
	if out.Zone == nil {
		out.Zone = time.FixedZone(DefaultZone, 8*60*60)
	}
	out.Language, out.Clock = DefaultLanguage, playlist.ClockNTP
	if s == nil {
		return
	}
	if s.need("name", `name = "大坝村"`) {
		out.Name = s.text("name", "大坝村")
	}
	if s.need("area", `area = "341523100201"`) {
		out.Area = s.area()
	}
	s.form("timezone", asZone)
	if v := s.want("timezone", unstable.String, say.M("config.quote_remedy", "timezone", DefaultZone)); v != nil {
		zone, err := time.LoadLocation(v.text)
		if err != nil || v.text == "" || v.text == "Local" {
			s.garbled("timezone", v, say.M("config.zone", shown(v.text)), s.advice("timezone", v.text, say.M("config.zone_remedy", DefaultZone)))
		} else {
			out.Zone = zone
		}
	}
	out.Language = s.choice("language", DefaultLanguage, string(say.Chinese), string(say.English))
	if s.need("data_dir", `data_dir = "/var/lib/dalaba"`) {
		if dir := s.text("data_dir", "/var/lib/dalaba"); dir != "" {
			out.DataDir = r.path(dir)
			s.foreign("data_dir", s.t.find("data_dir").val, dir)
			if file := fileInTheWay(out.DataDir); file != "" {
				s.fault("data_dir", say.M("config.data_dir", shown(file)), say.M("config.data_dir_remedy"))
			}
		}
	}
	out.Clock = s.clockSource()
	if dir := s.text("inbox", "inbox"); dir != "" {
		r.out.Inbox = r.path(dir)
		s.foreign("inbox", s.t.find("inbox").val, dir)
		r.watched = append(r.watched, watched{s.at("inbox"), s.place("inbox"), r.out.Inbox})
		s.plainFile("inbox", r.out.Inbox)
	}
	out.CeilingDB = s.level("ceiling_db", 0, -60, 0)
	s.rest()
}

// The first two digits of the codes in force.
var provinces = strings.Fields("11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82")

func (s *section) area() playlist.Area {
	example := "341523100201"
	s.form("area", asArea)
	v := s.want("area", unstable.String, say.M("config.quote_remedy", "area", example))
	if v == nil {
		return ""
	}
	switch a, err := playlist.ParseArea(v.text); {
	case len(v.text) != 12 || strings.Trim(v.text, "0123456789") != "":
		s.garbled("area", v, say.M("config.area_digits", shown(v.text)), s.advice("area", v.text, say.M("config.area_remedy", example)))
	case !slices.Contains(provinces, v.text[:2]):
		s.r.fault(v.at, s.at("area"), say.M("config.area_province", v.text, v.text[:2]), say.M("config.area_remedy", example))
	case err != nil:
		s.r.fault(v.at, s.at("area"), say.M("config.area_gap", v.text), say.M("config.area_gap_remedy"))
	default:
		return a
	}
	return ""
}

func (r *reader) ingest(s *section) {
	out := &r.out.Ingest
	*out = Ingest{Timeout: DefaultTimeout, Pace: DefaultPace}
	if s == nil {
		return
	}
	out.FFmpeg, out.FFprobe = s.program("ffmpeg"), s.program("ffprobe")
	if !s.lacks("speech") {
		s.form("speech", asCommand)
		list, _ := s.words("speech", "espeak-ng")
		for _, v := range list {
			out.Speech = append(out.Speech, v.text)
		}
		if len(list) > 0 && strings.TrimSpace(list[0].text) == "" {
			s.fault("speech", say.M("config.speech"), say.M("config.speech_remedy"))
		}
	}
	out.Pace = s.whole("pace", DefaultPace, 80, 450)
	out.Words = s.pairs("words")
	out.Timeout = s.span("timeout", DefaultTimeout, time.Second, time.Hour)
	s.rest()
}

// program is a program's name as it stands, or its path.
func (s *section) program(key string) string {
	p := s.text(key, "/usr/bin/"+key)
	if !strings.ContainsRune(p, filepath.Separator) {
		return p
	}
	if p = s.r.path(p); !strings.ContainsRune(p, filepath.Separator) {
		p = "./" + p // a bare name would be looked for on PATH
	}
	return p
}

// pairs is a table of texts by text.
func (s *section) pairs(key string) map[string]string {
	v := s.get(key)
	if v == nil {
		return nil
	}
	remedy := say.M("config.words_remedy")
	if v.keys == nil {
		s.fault(key, say.M("config.wrong_type", kindWord(unstable.Table), kindWord(v.kind)), remedy)
		return nil
	}
	out := map[string]string{}
	for _, e := range v.keys.entries {
		at := s.at(key) + "." + shown(e.key)
		switch {
		case e.val.kind != unstable.String:
			s.r.fault(e.val.at, at, say.M("config.wrong_type", kindWord(unstable.String), kindWord(e.val.kind)), remedy)
		case strings.TrimSpace(e.key) == "" || strings.TrimSpace(e.val.text) == "":
			s.r.fault(e.val.at, at, say.M("config.empty"), remedy)
		default:
			out[e.key] = e.val.text
		}
	}
	return out
}

func (r *reader) amplifier(s *section) {
	out := &r.out.Amplifier
	*out = Amplifier{WarmUp: DefaultWarmUp, Hold: DefaultHold}
	if s == nil {
		return
	}
	if s.need("relay", `relay = "gpio:GPIO17"`) {
		out.Relay = s.text("relay", "gpio:GPIO17")
		scheme, name, _ := strings.Cut(out.Relay, ":")
		if out.Relay != "" && (!slices.Contains([]string{"gpio", "serial", "command"}, scheme) || strings.TrimSpace(name) == "") {
			s.garbled("relay", s.t.find("relay").val, say.M("config.relay", shown(out.Relay)), say.M("config.relay_remedy"))
		}
	}
	out.WarmUp = s.span("warm_up", DefaultWarmUp, 0, 30*time.Second)
	out.Hold = s.span("hold", DefaultHold, 0, 10*time.Minute)
	s.rest()
}

func (r *reader) store(s *section) {
	out := &r.out.Store
	*out = Store{Backups: DefaultBackups}
	if s == nil {
		return
	}
	out.Backups = s.whole("backups", DefaultBackups, 1, 90)
	out.Days = s.whole("days", 0, 0, 36500)
	s.rest()
}
