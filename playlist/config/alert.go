package config

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

func (r *reader) alert(s *section) {
	rules := &r.out.Alerts
	*rules = playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}}.Filled()
	if s == nil {
		return
	}
	out := &r.out.Alert
	if dir := s.text("drop", "alerts"); dir != "" {
		out.Drop = r.path(dir)
		s.foreign("drop", s.t.find("drop").val, dir)
		r.watched = append(r.watched, watched{s.at("drop"), s.place("drop"), out.Drop})
		s.plainFile("drop", out.Drop)
	}
	out.Anchors = s.files("anchors", "anchors/cap.pem")
	out.EBD = s.files("ebd", "anchors/sender.cer")
	out.EBDCA = s.files("ebd_ca", "anchors/ca.key")
	rules.Unsigned = s.sources(rules.Unsigned)
	rules.Retirers = s.senders("may_retire", "yj.example.gov.cn")
	rules.Drills = s.yes("drills", false)
	rules.Life = s.span("life", rules.Life, time.Minute, 7*24*time.Hour)
	rules.Passes = s.whole("passes", rules.Passes, 1, 100)
	rules.Gap = s.span("gap", rules.Gap, time.Second, time.Hour)
	rules.ToneMin = s.span("tone_min", rules.ToneMin, time.Second, time.Minute)
	rules.ToneMax = s.span("tone_max", rules.ToneMax, time.Second, 5*time.Minute)
	if rules.ToneMax < rules.ToneMin {
		key := "tone_max"
		if !s.has(key) {
			key = "tone_min"
		}
		s.fault(key, say.M("config.tone", Brief(rules.ToneMin), Brief(rules.ToneMax)), say.M("config.tone_remedy"))
	}
	rules.LevelDB = s.level("level_db", 0, -60, 0)
	rules.Place = s.position()
	if generic := s.pairs("generic"); len(generic) > 0 {
		out.Generic = map[string]string{}
		for _, code := range slices.Sorted(maps.Keys(generic)) {
			out.Generic[code] = r.path(generic[code])
			r.files = append(r.files, out.Generic[code])
			if m, ok := r.lib.(Machine); ok && !m.HasFile(out.Generic[code]) {
				r.problem(Warning, s.t.find("generic").val.keys.find(code).val.at, s.at("generic."+shown(code)), say.M("config.no_file", shown(generic[code])), say.M("config.no_file_remedy"))
			}
			s.unread(Warning, "generic."+shown(code), s.t.find("generic").val.keys.find(code).val, out.Generic[code])
		}
	}
	s.rest()
}

// files is a list of paths, which may be patterns. Each must name something.
func (s *section) files(key, example string) (paths []string) {
	if s.lacks(key) {
		return nil
	}
	list, _ := s.words(key, example)
	for _, v := range list {
		p := s.plain(key, v, example)
		if p == "" {
			continue
		}
		found, err := filepath.Glob(s.r.pattern(p))
		if _, serr := os.Lstat(s.r.path(p)); len(found) == 0 && errors.Is(serr, fs.ErrPermission) {
			found = []string{s.r.path(p)} // it may well be there: the daemon starts
		}
		if err != nil || len(found) == 0 {
			s.misread(key, v, say.M("config.no_file", shown(p)), say.M("config.no_file_remedy"))
			continue
		}
		for _, path := range found {
			s.unread(Fault, key, v, path)
		}
		paths = append(paths, found...)
		s.r.files = append(s.r.files, found...)
	}
	return paths
}

// unread reports a file that the daemon cannot use.
func (s *section) unread(how Severity, key string, v *value, path string) {
	if m, ok := s.r.lib.(Reader); ok {
		if what, remedy, ok := m.Unread(s.r.out.Site.DataDir, key, path); ok {
			s.r.problem(how, v.at, s.at(key), what, remedy)
		}
	}
}

// senders are senders of messages, as those name them.
func (s *section) senders(key, example string) (all []string) {
	if s.lacks(key) {
		return nil
	}
	list, _ := s.strings(key, example)
	for _, v := range list {
		if sender := s.plain(key, v, example); sender != "" {
			all = append(all, sender)
		}
	}
	return all
}

// sources are the ways from which unsigned messages are believed.
func (s *section) sources(preset []playlist.AlertSource) []playlist.AlertSource {
	const key = "unsigned"
	s.form(key, someOf(string(playlist.AlertByHand), string(playlist.AlertByDrop)))
	v := s.want(key, unstable.Array, say.M("config.unsigned_remedy"))
	if v == nil {
		return preset
	}
	sources := []playlist.AlertSource{}
	for _, w := range v.list {
		if w.kind == unstable.String && (w.text == string(playlist.AlertByHand) || w.text == string(playlist.AlertByDrop)) {
			sources = append(sources, playlist.AlertSource(w.text))
			continue
		}
		s.misread(key, w, say.M("config.unsigned", shown(w.text)), say.M("config.unsigned_remedy"))
	}
	return sources
}

// position is [latitude, longitude] in degrees.
func (s *section) position() *playlist.Place {
	const key = "position"
	v := s.want(key, unstable.Array, say.M("config.position_remedy"))
	if v == nil {
		return nil
	}
	var at [2]float64
	ok := len(v.list) == 2
	for i := 0; ok && i < 2; i++ {
		var err error
		at[i], err = strconv.ParseFloat(strings.ReplaceAll(v.list[i].text, "_", ""), 64)
		limit := []float64{90, 180}[i]
		number := v.list[i].kind == unstable.Float || v.list[i].kind == unstable.Integer
		ok = number && err == nil && at[i] >= -limit && at[i] <= limit // NaN is neither
	}
	if !ok {
		s.fault(key, say.M("config.position"), say.M("config.position_remedy"))
		return nil
	}
	return &playlist.Place{Lat: at[0], Lon: at[1]}
}

func (r *reader) microphone(s *section) {
	if s == nil {
		return
	}
	if s.need("capture", `capture = ["arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1"]`) {
		s.form("capture", asCommand)
		list, _ := s.words("capture", "arecord")
		for _, v := range list {
			r.out.Mic.Capture = append(r.out.Mic.Capture, v.text)
		}
		if len(list) > 0 && strings.TrimSpace(list[0].text) == "" {
			s.fault("capture", say.M("config.speech"), say.M("config.speech_remedy"))
		} else if m, ok := r.lib.(Machine); ok && len(list) > 0 && !m.HasProgram(list[0].text) {
			r.problem(Warning, list[0].at, s.at("capture"), say.M("config.no_program", shown(list[0].text)), say.M("config.no_program_remedy"))
		}
	}
	if t := s.text("trigger", "gpio:GPIO27"); t != "" {
		scheme, line, _ := strings.Cut(t, ":")
		if scheme != "gpio" || strings.TrimSpace(line) == "" {
			s.garbled("trigger", s.t.find("trigger").val, say.M("config.trigger", shown(t)), say.M("config.trigger_remedy"))
		}
		r.out.Mic.Trigger = t
	}
	s.rest()
}

// plainFile warns of a folder that is a file.
func (s *section) plainFile(key, path string) {
	if file := fileInTheWay(path); file != "" {
		s.r.problem(Warning, s.place(key), s.at(key), say.M("config.data_dir", shown(file)), say.M("config.folder_remedy"))
	}
}

// peers are the neighbours that have clips.
func (s *section) peers() (all []string) {
	const key, example = "peers", "http://192.168.1.20:8090"
	if s.lacks(key) {
		return nil
	}
	list, _ := s.words(key, example)
	for _, v := range list {
		u, err := url.Parse(v.text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			s.garbled(key, v, say.M("config.peer", shown(v.text)), say.M("config.peer_remedy", example))
			continue
		}
		all = append(all, strings.TrimSuffix(v.text, "/"))
	}
	return all
}

func (r *reader) county(s *section, hours []*section) {
	rules := &r.out.County
	rules.Wins = playlist.WinsPriority
	if s != nil {
		rules.Wins = playlist.Winner(s.choice("wins", string(playlist.WinsPriority),
			string(playlist.WinsPriority), string(playlist.WinsCounty), string(playlist.WinsLocal)))
		r.out.Cache.Peers = s.peers()
		if a := s.text("serve", ":8090"); a != "" {
			if _, port, err := net.SplitHostPort(a); err != nil || port == "" {
				s.garbled("serve", s.t.find("serve").val, say.M("config.serve", shown(a)), say.M("config.serve_remedy"))
			}
			r.out.Cache.Serve = a
		}
		s.rest()
	}
	for _, h := range hours {
		if span, ok := h.daily(); ok {
			rules.Protected = append(rules.Protected, span)
		}
		h.rest()
	}
}
