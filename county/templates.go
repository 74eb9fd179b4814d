package county

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Template is a prepared alert in which blanks such as {时间} are to be filled in.
type Template struct {
	Name   string   `json:"name"` // of its file, without .toml
	Alert  ByHand   `json:"alert"`
	Blanks []string `json:"blanks,omitempty"`
	Wrong  []string `json:"wrong,omitempty"` // what is wrong with its file, in the reader's language

	problems []config.Problem
}

// templateFile is a file of a template.
type templateFile struct {
	Alert struct {
		Title       string   `toml:"title"`
		Text        string   `toml:"text"`
		Event       string   `toml:"event"`
		Level       string   `toml:"level"`
		Class       string   `toml:"class"`
		Repeat      int      `toml:"repeat"`
		For         string   `toml:"for"`
		Areas       []string `toml:"areas"`
		Groups      []string `toml:"groups"`
		Controllers []string `toml:"controllers"`
	} `toml:"alert"`
}

const templateExt = ".toml"

// templates lists the templates by name, with those whose files are broken.
func (a *alerts) templates(l say.Lang) (all []Template, err error) {
	if a.rules.Templates == "" {
		return nil, nil
	}
	files, err := os.ReadDir(a.rules.Templates)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), templateExt)
		if !ok || f.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		t, rerr := readTemplate(filepath.Join(a.rules.Templates, f.Name()), name)
		err = errors.Join(err, rerr)
		for _, p := range t.problems {
			t.Wrong = append(t.Wrong, p.In(l))
		}
		all = append(all, t)
	}
	return all, err
}

// readTemplate reads the file of a template strictly.
func readTemplate(path, name string) (Template, error) {
	t := Template{Name: name}
	text, err := os.ReadFile(path)
	if err != nil {
		return t, err
	}
	var f templateFile
	doc := config.Decode(path, text, &f, say.M("county.template_remedy"))
	x := f.Alert
	t.Alert = ByHand{Title: x.Title, Text: x.Text, Event: x.Event, Class: emergency.Class(x.Class), Passes: x.Repeat}
	doc.Need("alert.text", x.Text, "请{地点}的居民于{时间}前撤离。")
	doc.Need("alert.level", x.Level, "red")
	if x.Level != "" {
		if t.Alert.Level, err = ParseLevel(x.Level); err != nil {
			doc.Fault("alert.level", say.M("county.template_level", x.Level), say.M("county.level_remedy"))
		}
	}
	if x.Class != "" && !t.Alert.Class.Known() {
		doc.Fault("alert.class", say.M("county.template_class", x.Class), say.M("county.class_remedy", Joined(emergency.Classes())))
	}
	if x.For != "" {
		if t.Alert.Life, err = time.ParseDuration(x.For); err != nil || t.Alert.Life < time.Minute || t.Alert.Life > longestLife {
			doc.Fault("alert.for", say.M("config.span", x.For), say.M("config.span_remedy", time.Minute.String(), longestLife.String()))
		}
	}
	if x.Repeat < 0 || x.Repeat > mostPasses {
		doc.Fault("alert.repeat", say.M("county.alert_bounds"), say.M("config.whole_remedy", 0, mostPasses))
	}
	for _, v := range x.Areas {
		t.Alert.Scopes = append(t.Alert.Scopes, playlist.AreaScope(playlist.Area(v)))
	}
	for _, v := range x.Groups {
		t.Alert.Scopes = append(t.Alert.Scopes, playlist.GroupScope(v))
	}
	for _, v := range x.Controllers {
		t.Alert.Scopes = append(t.Alert.Scopes, playlist.ControllerScope(playlist.ControllerID(v)))
	}
	t.Blanks = emergency.Blanks(x.Title, x.Event, x.Text)
	t.problems = doc.Problems()
	return t, nil
}

// withTemplate is an alert with what it leaves to its template, whose blanks are filled in.
func (a *alerts) withTemplate(h ByHand) (ByHand, error) {
	if h.Template == "" {
		if len(h.Set) > 0 {
			return h, invalid("county.set_alone")
		}
		return h, nil
	}
	all, err := a.templates(say.Chinese)
	if err != nil {
		return h, err
	}
	i := slices.IndexFunc(all, func(t Template) bool { return t.Name == h.Template })
	if i < 0 {
		names := []string{}
		for _, t := range all {
			names = append(names, t.Name)
		}
		return h, invalid("county.no_template", plain(h.Template), a.rules.Templates, cmp.Or(Joined(names), "-"))
	}
	t := all[i]
	if len(t.problems) > 0 {
		return h, fault{playlist.ErrInvalid, say.M("county.template_broken", t.problems[0])}
	}
	for name := range h.Set {
		if !slices.Contains(t.Blanks, name) {
			return h, invalid("county.no_blank", t.Name, plain(name), cmp.Or(Joined(t.Blanks), "-"))
		}
	}
	own := t.Alert
	for _, of := range []struct{ given, own *string }{{&h.Title, &own.Title}, {&h.Text, &own.Text}, {&h.Event, &own.Event}} {
		if *of.given != "" {
			continue
		}
		if left := slices.DeleteFunc(emergency.Blanks(*of.own), func(name string) bool { return h.Set[name] != "" }); len(left) > 0 {
			return h, invalid("county.blank_left", t.Name, Joined(left), left[0])
		}
		*of.given = emergency.Filled(*of.own, h.Set)
	}
	h.Class, h.Level, h.Passes, h.Life = cmp.Or(h.Class, own.Class), cmp.Or(h.Level, own.Level), cmp.Or(h.Passes, own.Passes), cmp.Or(h.Life, own.Life)
	if len(h.Scopes) == 0 {
		h.Scopes = own.Scopes
	}
	return h, nil
}
