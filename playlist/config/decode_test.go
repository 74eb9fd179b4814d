package config_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// shape is a file as another program may have it.
type shape struct {
	Town struct {
		Name  string            `toml:"name"`
		Lamps *int              `toml:"lamps"`
		Rows  int               `toml:"rows"`
		Lit   *bool             `toml:"lit"`
		Roads []string          `toml:"roads"`
		Words map[string]string `toml:"words"`
	} `toml:"town"`
	Door []struct {
		URL string `toml:"url"`
	} `toml:"door"`

	unread string
}

func decode(text string) (shape, *config.Document) {
	var s shape
	return s, config.Decode("x.toml", []byte(text), &s, say.M("config.syntax_remedy"))
}

func TestADocumentIsReadIntoAStruct(t *testing.T) {
	var s shape
	s.unread = "as it was"
	d := config.Decode("x.toml", []byte("\ufeff[town]\nname = '大坝'\nlamps = 0x1\nrows = 1_000\nlit = false\nroads = ['东', \"西\"]\nwords = {a = 'b'}\n[[door]]\nurl = 'u'\n[[door]]\n"),
		&s, say.M("config.syntax_remedy"))
	if p := d.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	town := s.Town
	if town.Name != "大坝" || town.Lamps == nil || town.Rows != 1000 || town.Lit == nil || *town.Lit || !slices.Equal(town.Roads, []string{"东", "西"}) ||
		!maps.Equal(town.Words, map[string]string{"a": "b"}) || len(s.Door) != 2 || s.Door[0].URL != "u" || s.unread != "as it was" {
		t.Errorf("%+v", s)
	}
	if s, d = decode(""); s.Town.Lamps != nil || s.Town.Lit != nil || s.Town.Roads != nil || len(d.Problems()) > 0 {
		t.Errorf("of nothing: %+v, %v", s, d.Problems())
	}
}

func TestADocumentTellsAllThatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"types", "[town]\nname = 1\nlamps = 'x'\nlit = 1\nroads = 'x'\nwords = 3\n", "2 town.name, 3 town.lamps, 4 town.lit, 5 town.roads, 6 town.words"},
		{"a list", "[town]\nroads = ['a', 1]\n", "2 town.roads"},
		{"unknown", "[town]\nnaem = 'x'\n[towm]\n[[door]]\nname = 'x'\n", "2 town.naem, 3 towm, 5 door[1].name"},
		{"outside", "url = 'x'\nname = 'y'\n", "1 url, 2 name"},
		{"syntax", "[town]\nname = x\nlamps = 'x'\n[[door]]\nurl = 2\n", "2 "},
		{"brackets", "[door]\n[[town]]\n", "1 door, 2 town"},
		{"no table", "town = 3\ndoor = 'x'\n", "1 town, 2 door"},
		{"no text", "[town]\nname = '\x00'\n", "2 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, d := decode(c.text)
			if got := places(d); got != c.want {
				t.Errorf("%s; want %s", got, c.want)
			}
		})
	}
}

func places(d *config.Document) string {
	var all []string
	for _, p := range d.Problems() {
		all = append(all, strings.TrimSpace(string(rune('0'+p.Line)))+" "+p.Key)
	}
	return strings.Join(all, ", ")
}

func TestADocumentIsAskedForMore(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "1 town.name, 1 door[1].url"},
		{"a table", "\n[town]\n[[door]]\n", "2 town.name, 3 door[1].url"},
		{"blank", "[town]\nname = ' '\n[[door]]\nurl = ''\n", "2 town.name, 4 door[1].url"},
		{"there", "[town]\nname = 'x'\n[[door]]\nurl = 'x'\n", ""},
		{"wrong already", "[town]\nname = 1\n[[door]]\nurl = 1\n", "2 town.name, 4 door[1].url"},
		{"no TOML", "[town]\nname = x\n[[door]]\nurl = x\n", "2 "},
		{"no tables", "town = 1\ndoor = 2\n", "1 town, 2 door"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, d := decode(c.text)
			var url string
			if len(s.Door) > 0 {
				url = s.Door[0].URL
			}
			d.Need("town.name", s.Town.Name, "x")
			d.Need("door[1].url", url, "x")
			if got := places(d); got != c.want {
				t.Errorf("%s; want %s", got, c.want)
			}
		})
	}
	_, d := decode("[town]\nname = x\n")
	d.Fault("town.lamps", say.M("config.empty"), say.M("config.syntax_remedy"))
	if got := places(d); got != "2 " {
		t.Errorf("of what is no TOML: %s", got)
	}
	_, d = decode("[town]\n\nlamps = 7\n")
	for range 2 {
		d.Fault("town.lamps", say.M("config.empty"), say.M("config.syntax_remedy"))
	}
	if got := places(d); got != "3 town.lamps" {
		t.Errorf("told: %s", got)
	}
	if p := d.Problems(); p[0].Column != 9 {
		t.Errorf("in column %d", p[0].Column)
	}
}
