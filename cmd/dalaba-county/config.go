package main

import (
	"cmp"
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
	"syscall"
	"time"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/county/notice"
	"dalaba/data"
	"dalaba/data/secret"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
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
		MayRetire    []string `toml:"may_retire"`
		Drills       *bool    `toml:"drills"`
		Review       []string `toml:"review"`
		ReviewWait   string   `toml:"review_wait"`
		TwoPersons   bool     `toml:"two_persons"`
		SecondWait   string   `toml:"two_persons_wait"`
		Templates    string   `toml:"templates"`
		Anchors      []string `toml:"anchors"`
		Certificates []string `toml:"certificates"`
		Authorities  []string `toml:"authorities"`
	} `toml:"alert"`
	EBD struct {
		EBRID     string   `toml:"ebrid"`
		URL       string   `toml:"url"`
		Upstream  string   `toml:"upstream"`
		Partners  []string `toml:"partners"`
		To        string   `toml:"to"`
		Heartbeat string   `toml:"heartbeat"`
		Key       string   `toml:"key"`
		Serial    string   `toml:"serial"`
	} `toml:"ebd"`
	Feed []struct {
		URL    string `toml:"url"`
		Every  string `toml:"every"`
		Silent string `toml:"silent"`
	} `toml:"feed"`
	Mail   mailSettings     `toml:"mail"`
	Notify []notifySettings `toml:"notify"`

	// What the texts above mean.
	area      playlist.Area
	zone      *time.Location
	timeout   time.Duration
	life      time.Duration
	review    []emergency.Level
	wait      time.Duration // of an alert for review
	second    time.Duration // of one that needs a second person; 0: none does
	heartbeat time.Duration
	serial    [6]byte
	feeds     []county.Feed
	notify    []notice.Rule // of each of Notify

	backups      int
	keepReceipts time.Duration // 0: for ever
}

// configReader reads one config.
type configReader struct {
	*config.Document
	file string
}

// readSettings reads a config strictly: it reports every problem it finds.
func readSettings(file string, text []byte) (*settings, []config.Problem) {
	var s settings
	r := &configReader{config.Decode(file, text, &s, sayM("county.conf_sample")), file}
	r.check(&s)
	if problems := r.Problems(); len(problems) > 0 {
		return nil, problems
	}
	return &s, nil
}

// path makes a path of the file one that is good from anywhere.
func (r *configReader) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(r.file), p)
}

// check notes what is wrong with the settings, and fills in what their texts
// mean and what the file leaves out.
func (r *configReader) check(s *settings) {
	r.checkCounty(s)
	r.checkHTTP(s)
	r.checkNATS(s)
	for _, v := range []struct {
		key, text string
		to        *time.Duration
		lo, hi    time.Duration
	}{
		{"ingest.timeout", s.Ingest.Timeout, &s.timeout, time.Second, time.Hour},
		{"alert.life", s.Alert.Life, &s.life, time.Minute, 7 * 24 * time.Hour},
		{"alert.review_wait", cmp.Or(s.Alert.ReviewWait, defaultReviewWait), &s.wait, 10 * time.Second, time.Hour},
		{"alert.two_persons_wait", cmp.Or(s.Alert.SecondWait, defaultSecondWait), &s.second, 10 * time.Second, time.Hour},
		{"ebd.heartbeat", s.EBD.Heartbeat, &s.heartbeat, time.Second, 24 * time.Hour},
	} {
		*v.to = r.span(v.key, v.text, v.lo, v.hi)
	}
	if p := s.Ingest.Pace; p != 0 && (p < 80 || p > 450) {
		r.Fault("ingest.pace", sayM("config.whole_range", strconv.Itoa(p), 80, 450), sayM("config.whole_remedy", 80, 450))
	}
	r.checkAlert(s)
	r.checkEBD(s)
	r.checkNotify(s)
	for i, f := range s.Feed {
		key := fmt.Sprintf("feed[%d].", i+1)
		r.Need(key+"url", f.URL, "https://alerts.example.org/feed.xml")
		r.url(key+"url", f.URL, "http", "https")
		s.feeds = append(s.feeds, county.Feed{
			URL: f.URL, Every: r.span(key+"every", f.Every, time.Second, 24*time.Hour), Silent: r.span(key+"silent", f.Silent, time.Minute, 30*24*time.Hour),
		})
	}
}

func (r *configReader) checkCounty(s *settings) {
	c := &s.County
	r.Need("county.name", c.Name, "舒城县融媒体中心")
	r.Need("county.area", c.Area, "341523000000")
	r.Need("county.data_dir", c.DataDir, "/var/lib/dalaba-county")
	if c.Area != "" {
		a, err := playlist.ParseArea(c.Area)
		if err != nil {
			r.Fault("county.area", sayM("county.bad_area", c.Area), sayM("county.conf_area_remedy"))
		}
		s.area = a
	}
	c.DataDir = r.path(c.DataDir)
	zone, err := time.LoadLocation(orElse(c.Timezone, config.DefaultZone))
	if err != nil || c.Timezone == "Local" {
		r.Fault("county.timezone", sayM("config.zone", c.Timezone), sayM("config.zone_remedy", config.DefaultZone))
	}
	s.zone = zone
	r.language("county.language", c.Language)
	if c.Store != "" && !strings.HasPrefix(c.Store, "postgres://") && !strings.HasPrefix(c.Store, "postgresql://") {
		r.Fault("county.store", sayM("county.conf_store", c.Store), sayM("county.conf_store_remedy"))
	}
	r.checkPasswords(c.Store, c.DataDir)
	s.backups = r.whole("county.backups", c.Backups, defaultBackups, 1, 90)
	days := r.whole("county.receipts", c.Receipts, defaultReceipts, 0, 36500)
	if days > 0 && days < leastReceipts {
		r.Fault("county.receipts", sayM("county.conf_receipts", days), sayM("county.conf_receipts_remedy", leastReceipts))
	}
	s.keepReceipts = time.Duration(days) * 24 * time.Hour
}

// checkPasswords checks the files that hold a password or key for PostgreSQL: this one, if
// the address has it, and those that the PostgreSQL library finds by itself.
func (r *configReader) checkPasswords(store, dataDir string) {
	u, err := url.Parse(store)
	if err != nil || store == "" {
		return
	}
	if _, inAddress := u.User.Password(); inAddress || u.Query().Has("password") {
		r.secret("county.store", r.file, dataDir)
	}
	for _, path := range passwordFiles(u) {
		r.secret("county.store", path, dataDir)
	}
}

// passwordFiles lists the files with a password or key that the PostgreSQL library reads
// for a database.
func passwordFiles(u *url.URL) []string {
	home, _ := os.UserHomeDir()
	all := []string{
		cmp.Or(u.Query().Get("passfile"), os.Getenv("PGPASSFILE"), filepath.Join(home, ".pgpass")),
		cmp.Or(u.Query().Get("sslkey"), os.Getenv("PGSSLKEY")),
	}
	return slices.DeleteFunc(all, func(path string) bool {
		_, err := os.Stat(path)
		return err != nil // PostgreSQL says what it needs
	})
}

func (r *configReader) checkHTTP(s *settings) {
	h := &s.HTTP
	h.Listen = orElse(h.Listen, "0.0.0.0:8443")
	r.address("http.listen", h.Listen)
	r.url("http.url", h.URL, "https")
	if (h.Cert == "") != (h.Key == "") {
		r.Fault("http.cert", sayM("county.conf_cert"), sayM("county.conf_cert_remedy"))
	}
	h.Cert, h.Key, h.CA = r.path(h.Cert), r.path(h.Key), r.path(h.CA)
	r.exists("http.cert", h.Cert)
	r.exists("http.ca", h.CA)
	r.secret("http.key", h.Key, s.County.DataDir)
}

func (r *configReader) checkNATS(s *settings) {
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
}

func (r *configReader) checkAlert(s *settings) {
	for _, way := range s.Alert.Unsigned {
		if !slices.Contains([]string{county.FromEBD, county.FromCAP, county.FromFeed}, way) {
			r.Fault("alert.unsigned", sayM("config.choice", way), sayM("county.conf_unsigned_remedy"))
		}
	}
	for _, text := range s.Alert.Review {
		l, err := county.ParseLevel(text)
		if err != nil {
			r.Fault("alert.review", sayM("county.template_level", text), sayM("county.level_remedy"))
		}
		s.review = append(s.review, l)
	}
	if !s.Alert.TwoPersons {
		s.second = 0
	}
	if s.Alert.Templates != "" {
		s.Alert.Templates = r.path(s.Alert.Templates)
		r.exists("alert.templates", s.Alert.Templates)
	} else {
		s.Alert.Templates = r.path(defaultTemplates)
	}
	for key, files := range map[string][]string{
		"alert.anchors": s.Alert.Anchors, "alert.certificates": s.Alert.Certificates, "alert.authorities": s.Alert.Authorities,
	} {
		for i := range files {
			files[i] = r.path(files[i])
			r.exists(key, files[i])
		}
	}
}

func (r *configReader) checkEBD(s *settings) {
	r.url("ebd.url", s.EBD.URL, "http", "https")
	r.url("ebd.upstream", s.EBD.Upstream, "http", "https")
	for _, p := range s.EBD.Partners {
		r.url("ebd.partners", p, "http", "https")
	}
	if s.EBD.EBRID != "" && strings.Trim(s.EBD.EBRID, "0123456789") != "" {
		r.Fault("ebd.ebrid", sayM("county.conf_ebrid", s.EBD.EBRID), sayM("county.conf_ebrid_remedy"))
	}
	if s.heartbeat > 0 && s.EBD.Upstream == "" {
		r.Fault("ebd.heartbeat", sayM("county.conf_heartbeat"), sayM("county.conf_heartbeat_remedy"))
	}
	if (s.EBD.Key == "") != (s.EBD.Serial == "") {
		r.Fault("ebd.key", sayM("county.conf_signer"), sayM("county.conf_signer_remedy"))
	}
	if n, err := hex.Decode(s.serial[:], []byte(s.EBD.Serial[:min(len(s.EBD.Serial), 12)])); s.EBD.Serial != "" && (err != nil || n != 6 || len(s.EBD.Serial) != 12) {
		r.Fault("ebd.serial", sayM("county.conf_serial", s.EBD.Serial), sayM("county.conf_serial_remedy"))
	}
	s.EBD.Key = r.path(s.EBD.Key)
	r.secret("ebd.key", s.EBD.Key, s.County.DataDir)
}

const (
	defaultBackups  = 7   // days
	defaultReceipts = 400 // days: a year's reports can be looked into
	leastReceipts   = 31  // days: corrections come within them

	defaultReviewWait = "5m"
	defaultSecondWait = "2m"
	defaultTemplates  = "templates" // beside the config
)

// whole is a whole number of the file, or its default if it is left out.
func (r *configReader) whole(key string, n *int, def, lo, hi int) int {
	if n == nil {
		return def
	}
	if *n < lo || *n > hi {
		r.Fault(key, sayM("config.whole_range", strconv.Itoa(*n), lo, hi), sayM("config.whole_remedy", lo, hi))
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
		r.Fault(key, sayM("county.conf_address", text), sayM("county.conf_address_remedy"))
	}
}

func (r *configReader) url(key, text string, schemes ...string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" || u.User != nil {
		r.Fault(key, sayM("county.conf_url", text), sayM("county.conf_url_remedy", strings.Join(schemes, "://, ")+"://"))
	}
}

func (r *configReader) span(key, text string, lo, hi time.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < lo || d > hi {
		r.Fault(key, sayM("config.span", text), sayM("config.span_remedy", lo.String(), hi.String()))
	}
	return d
}

func (r *configReader) language(key, text string) {
	if text != "" && text != string(say.Chinese) && text != string(say.English) {
		r.Fault(key, sayM("config.choice", text), sayM("county.conf_language_remedy"))
	}
}

func (r *configReader) exists(key, path string) {
	if path == "" {
		return
	}
	if _, err := os.Stat(path); err != nil {
		r.Fault(key, sayM("county.conf_file", path, err), sayM("county.conf_file_remedy"))
	}
}

// secret is a file of a key or password that the program accepts. One in the data folder
// may be open to others: a start mends it.
func (r *configReader) secret(key, path, dataDir string) {
	if path == "" {
		return
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		r.Fault(key, sayM("county.conf_file", path, err), sayM("county.conf_file_remedy"))
		return
	}
	var owner []uint32 // as whom the program is going to work
	if fi, err := os.Stat(dataDir); err == nil {
		owner = append(owner, fi.Sys().(*syscall.Stat_t).Uid)
	}
	err = secret.Check(path, owner...)
	refused := secret.Refused{}
	switch {
	case err == nil:
	case !errors.As(err, &refused):
		r.Fault(key, sayM("county.conf_file", path, err), sayM("county.conf_file_remedy"))
	case !inside(dataDir, real):
		r.Fault(key, refused.What, refused.Do)
	}
}

// inside reports whether a file whose path has no links lies in a folder.
func inside(dir, file string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rel)
}

// load reads the config that -c names, and tells what is wrong with it.
func (a *app) load() (*settings, error) {
	if why := a.config.Passed(); why != nil {
		a.Remark(say.In(a.Language(), why))
	}
	text, err := os.ReadFile(a.config.Path)
	if err != nil {
		return nil, cli.Refuse(sayM("county.no_config", a.config.Path, err))
	}
	s, problems := readSettings(a.config.Path, text)
	lang := a.Language()
	for _, p := range problems {
		a.Remark(p.In(lang))
	}
	if s == nil {
		return nil, cli.Refuse(cli.ErrTold)
	}
	a.owner, err = data.WorkAsOwner(s.County.DataDir, "")
	a.Owner = a.owner.User
	return s, err
}
