package main

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

//go:embed dalaba-county.toml
var sample []byte

// sayM makes a message.
func sayM(key string, args ...any) say.Message { return say.M(key, args...) }

// settings is the config file.
type settings struct {
	County struct {
		Name     string `toml:"name"`
		Area     string `toml:"area"`
		DataDir  string `toml:"data_dir"`
		Timezone string `toml:"timezone"`
		Language string `toml:"language"`
		Store    string `toml:"store"`
		Backups  *int   `toml:"backups"`
		Receipts *int   `toml:"receipts"`
	} `toml:"county"`
	HTTP struct {
		Listen string   `toml:"listen"`
		URL    string   `toml:"url"`
		Names  []string `toml:"names"`
		Cert   string   `toml:"cert"`
		Key    string   `toml:"key"`
		CA     string   `toml:"ca"`
	} `toml:"http"`
	NATS struct {
		Listen  string   `toml:"listen"`
		Servers []string `toml:"servers"`
		URLs    []string `toml:"urls"`
	} `toml:"nats"`
	Ingest struct {
		FFmpeg  string            `toml:"ffmpeg"`
		FFprobe string            `toml:"ffprobe"`
		Timeout string            `toml:"timeout"`
		Speech  []string          `toml:"speech"`
		Pace    int               `toml:"pace"`
		Words   map[string]string `toml:"words"`
	} `toml:"ingest"`
	Alert struct {
		Unsigned     []string `toml:"unsigned"`
		Life         string   `toml:"life"`
		Drills       *bool    `toml:"drills"`
		Anchors      []string `toml:"anchors"`
		Certificates []string `toml:"certificates"`
		Authorities  []string `toml:"authorities"`
	} `toml:"alert"`
	EBD struct {
		EBRID     string `toml:"ebrid"`
		URL       string `toml:"url"`
		Upstream  string `toml:"upstream"`
		To        string `toml:"to"`
		Heartbeat string `toml:"heartbeat"`
		Key       string `toml:"key"`
		Serial    string `toml:"serial"`
	} `toml:"ebd"`
	Feed []struct {
		URL    string `toml:"url"`
		Every  string `toml:"every"`
		Silent string `toml:"silent"`
	} `toml:"feed"`

	// What the texts above mean.
	area      playlist.Area
	zone      *time.Location
	timeout   time.Duration
	life      time.Duration
	heartbeat time.Duration
	serial    [6]byte
	feeds     []county.Feed

	backups      int
	keepReceipts time.Duration // 0: for ever
}

// configReader reads one config and gathers what is wrong with it.
type configReader struct {
	file     string
	text     []byte
	at       map[string]place // of each key
	problems []config.Problem
}

type place struct{ line, column int }

func (r *configReader) fault(key string, what, remedy say.Message) {
	at, ok := r.at[key]
	for k := key; !ok && k != ""; {
		i := strings.LastIndex(k, ".")
		if i < 0 {
			break
		}
		k = k[:i]
		at, ok = r.at[k]
	}
	if at.line == 0 {
		at = place{1, 1}
	}
	r.problems = append(r.problems, config.Problem{File: r.file, Line: at.line, Column: at.column, Key: key, What: what, Remedy: remedy})
}

// readSettings reads a config strictly: it reports every problem it finds.
func readSettings(file string, text []byte) (*settings, []config.Problem) {
	r := &configReader{file: file, text: bytes.TrimPrefix(text, []byte("\ufeff")), at: map[string]place{}}
	var s settings
	if !r.decode(&s) {
		return nil, r.problems
	}
	r.check(&s)
	slices.SortStableFunc(r.problems, func(a, b config.Problem) int { return a.Line - b.Line })
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return &s, nil
}

// decode reads the TOML; false where it does not stand as TOML. Keys that
// nobody asked for hide no fault of the others.
func (r *configReader) decode(s *settings) bool {
	r.places()
	d := toml.NewDecoder(bytes.NewReader(r.text))
	d.DisallowUnknownFields()
	err := d.Decode(s)
	if err == nil {
		return true
	}
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		for _, e := range missing.Errors {
			key := strings.Join(e.Key(), ".")
			line, column := e.Position()
			r.problems = append(r.problems, config.Problem{
				File: r.file, Line: line, Column: column, Key: key,
				What: sayM("config.unknown_key", key), Remedy: sayM("county.conf_sample"),
			})
		}
		return true
	}
	var bad *toml.DecodeError
	line, column, key := 1, 1, ""
	if errors.As(err, &bad) {
		line, column = bad.Position()
		key = strings.Join(bad.Key(), ".")
	}
	r.problems = append(r.problems, config.Problem{
		File: r.file, Line: line, Column: column, Key: key,
		What: sayM("county.conf_toml", strings.TrimPrefix(err.Error(), "toml: ")), Remedy: sayM("county.conf_sample"),
	})
	return false
}

// places finds where each key stands: "http.listen", "feed[1].url".
func (r *configReader) places() {
	var p unstable.Parser
	p.Reset(r.text)
	table := ""
	count := map[string]int{}
	for p.NextExpression() {
		n := p.Expression()
		var words []string
		at := 0
		for it := n.Key(); it.Next(); {
			if len(words) == 0 {
				at = int(it.Node().Raw.Offset)
			}
			words = append(words, string(it.Node().Data))
		}
		key := strings.Join(words, ".")
		switch n.Kind {
		case unstable.Table:
			table = key
		case unstable.ArrayTable:
			count[key]++
			table = fmt.Sprintf("%s[%d]", key, count[key])
			key = table
		case unstable.KeyValue:
			if table != "" {
				key = table + "." + key
			}
		}
		line := 1 + bytes.Count(r.text[:at], []byte("\n"))
		r.at[key] = place{line, at - bytes.LastIndexByte(r.text[:at], '\n')}
	}
}

// path makes a path of the file one that is good from anywhere.
func (r *configReader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(r.file), p)
}

func (r *configReader) check(s *settings) {
	c := &s.County
	for key, v := range map[string]string{"county.name": c.Name, "county.area": c.Area, "county.data_dir": c.DataDir} {
		if strings.TrimSpace(v) == "" {
			example := map[string]string{
				"county.name": `name = "舒城县融媒体中心"`, "county.area": `area = "341523000000"`, "county.data_dir": `data_dir = "/var/lib/dalaba-county"`,
			}[key]
			r.fault(key, sayM("config.missing"), sayM("config.missing_remedy", example))
		}
	}
	if c.Area != "" {
		a, err := playlist.ParseArea(c.Area)
		if err != nil {
			r.fault("county.area", sayM("county.bad_area", c.Area), sayM("county.conf_area_remedy"))
		}
		s.area = a
	}
	c.DataDir = r.path(c.DataDir)
	zone, err := time.LoadLocation(orElse(c.Timezone, config.DefaultZone))
	if err != nil || c.Timezone == "Local" {
		r.fault("county.timezone", sayM("config.zone", c.Timezone), sayM("config.zone_remedy", config.DefaultZone))
	}
	s.zone = zone
	if c.Language != "" && c.Language != string(say.Chinese) && c.Language != string(say.English) {
		r.fault("county.language", sayM("config.choice", c.Language), sayM("county.conf_language_remedy"))
	}
	if c.Store != "" && !strings.HasPrefix(c.Store, "postgres://") && !strings.HasPrefix(c.Store, "postgresql://") {
		r.fault("county.store", sayM("county.conf_store", c.Store), sayM("county.conf_store_remedy"))
	}
	s.backups = r.whole("county.backups", c.Backups, defaultBackups, 1, 90)
	days := r.whole("county.receipts", c.Receipts, defaultReceipts, 0, 36500)
	if days > 0 && days < leastReceipts {
		r.fault("county.receipts", sayM("county.conf_receipts", days), sayM("county.conf_receipts_remedy", leastReceipts))
	}
	s.keepReceipts = time.Duration(days) * 24 * time.Hour

	h := &s.HTTP
	h.Listen = orElse(h.Listen, "0.0.0.0:8443")
	r.address("http.listen", h.Listen)
	r.url("http.url", h.URL, "https")
	if (h.Cert == "") != (h.Key == "") {
		r.fault("http.cert", sayM("county.conf_cert"), sayM("county.conf_cert_remedy"))
	}
	for key, p := range map[string]*string{"http.cert": &h.Cert, "http.key": &h.Key, "http.ca": &h.CA} {
		*p = r.path(*p)
		r.exists(key, *p)
	}
	s.NATS.Listen = orElse(s.NATS.Listen, "0.0.0.0:4222")
	r.address("nats.listen", s.NATS.Listen)
	for _, u := range s.NATS.Servers {
		r.url("nats.servers", u, "tls")
	}
	for _, u := range s.NATS.URLs {
		r.url("nats.urls", u, "tls")
	}
	if len(s.NATS.URLs) > 0 && len(s.NATS.Servers) == 0 {
		s.NATS.Servers = s.NATS.URLs
	}

	for _, v := range []struct {
		key, text string
		to        *time.Duration
		lo, hi    time.Duration
	}{
		{"ingest.timeout", s.Ingest.Timeout, &s.timeout, time.Second, time.Hour},
		{"alert.life", s.Alert.Life, &s.life, time.Minute, 7 * 24 * time.Hour},
		{"ebd.heartbeat", s.EBD.Heartbeat, &s.heartbeat, time.Second, 24 * time.Hour},
	} {
		*v.to = r.span(v.key, v.text, v.lo, v.hi)
	}
	if p := s.Ingest.Pace; p != 0 && (p < 80 || p > 450) {
		r.fault("ingest.pace", sayM("config.whole_range", strconv.Itoa(p), 80, 450), sayM("config.whole_remedy", 80, 450))
	}
	for _, way := range s.Alert.Unsigned {
		if !slices.Contains([]string{county.FromEBD, county.FromCAP, county.FromFeed}, way) {
			r.fault("alert.unsigned", sayM("config.choice", way), sayM("county.conf_unsigned_remedy"))
		}
	}
	for key, files := range map[string][]string{
		"alert.anchors": s.Alert.Anchors, "alert.certificates": s.Alert.Certificates, "alert.authorities": s.Alert.Authorities,
	} {
		for i := range files {
			files[i] = r.path(files[i])
			r.exists(key, files[i])
		}
	}
	r.url("ebd.url", s.EBD.URL, "http", "https")
	r.url("ebd.upstream", s.EBD.Upstream, "http", "https")
	if s.EBD.EBRID != "" && strings.Trim(s.EBD.EBRID, "0123456789") != "" {
		r.fault("ebd.ebrid", sayM("county.conf_ebrid", s.EBD.EBRID), sayM("county.conf_ebrid_remedy"))
	}
	if s.heartbeat > 0 && s.EBD.Upstream == "" {
		r.fault("ebd.heartbeat", sayM("county.conf_heartbeat"), sayM("county.conf_heartbeat_remedy"))
	}
	if (s.EBD.Key == "") != (s.EBD.Serial == "") {
		r.fault("ebd.key", sayM("county.conf_signer"), sayM("county.conf_signer_remedy"))
	}
	if n, err := hex.Decode(s.serial[:], []byte(s.EBD.Serial[:min(len(s.EBD.Serial), 12)])); s.EBD.Serial != "" && (err != nil || n != 6 || len(s.EBD.Serial) != 12) {
		r.fault("ebd.serial", sayM("county.conf_serial", s.EBD.Serial), sayM("county.conf_serial_remedy"))
	}
	s.EBD.Key = r.path(s.EBD.Key)
	r.secret("ebd.key", s.EBD.Key)
	for i, f := range s.Feed {
		key := fmt.Sprintf("feed[%d].", i+1)
		if f.URL == "" {
			r.fault(key+"url", sayM("config.missing"), sayM("config.missing_remedy", `url = "https://alerts.example.org/feed.xml"`))
		}
		r.url(key+"url", f.URL, "http", "https")
		s.feeds = append(s.feeds, county.Feed{
			URL: f.URL, Every: r.span(key+"every", f.Every, time.Second, 24*time.Hour), Silent: r.span(key+"silent", f.Silent, time.Minute, 30*24*time.Hour),
		})
	}
}

const (
	defaultBackups  = 7   // days
	defaultReceipts = 400 // days: a year's reports can be looked into
	leastReceipts   = 31  // days: corrections come within them
)

// whole is a whole number of the file, or what holds where it is left out.
func (r *configReader) whole(key string, n *int, def, lo, hi int) int {
	if n == nil {
		return def
	}
	if *n < lo || *n > hi {
		r.fault(key, sayM("config.whole_range", strconv.Itoa(*n), lo, hi), sayM("config.whole_remedy", lo, hi))
	}
	return *n
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (r *configReader) address(key, text string) {
	_, port, err := net.SplitHostPort(text)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		r.fault(key, sayM("county.conf_address", text), sayM("county.conf_address_remedy"))
	}
}

func (r *configReader) url(key, text string, schemes ...string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" || u.User != nil {
		r.fault(key, sayM("county.conf_url", text), sayM("county.conf_url_remedy", strings.Join(schemes, "://, ")+"://"))
	}
}

func (r *configReader) span(key, text string, lo, hi time.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < lo || d > hi {
		r.fault(key, sayM("config.span", text), sayM("config.span_remedy", lo.String(), hi.String()))
	}
	return d
}

func (r *configReader) exists(key, path string) {
	if path == "" {
		return
	}
	if _, err := os.Stat(path); err != nil {
		r.fault(key, sayM("county.conf_file", path, err), sayM("county.conf_file_remedy"))
	}
}

// secret is a file that exists and that only its owner may read.
func (r *configReader) secret(key, path string) {
	if path == "" {
		return
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		r.fault(key, sayM("county.conf_file", path, err), sayM("county.conf_file_remedy"))
	case !fi.Mode().IsRegular():
		r.fault(key, sayM("county.conf_no_file", path), sayM("county.conf_file_remedy"))
	case fi.Mode().Perm()&0o077 != 0:
		r.fault(key, sayM("county.conf_open", path), sayM("county.conf_open_remedy", path))
	}
}

// load reads the config that -c names, and tells what is wrong with it.
func (a *app) load() (*settings, error) {
	text, err := os.ReadFile(a.config)
	if err != nil {
		return nil, cli.Refuse(sayM("county.no_config", a.config, err))
	}
	s, problems := readSettings(a.config, text)
	lang := a.Language()
	for _, p := range problems {
		fmt.Fprintln(a.Err, p.In(lang))
	}
	if s == nil {
		return nil, cli.Refuse(cli.ErrTold)
	}
	return s, nil
}
