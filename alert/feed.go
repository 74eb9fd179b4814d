package alert

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dalaba/playlist/say"
)

const atomSpace = "http://www.w3.org/2005/Atom"

// MaxEntries is the largest number of entries that a feed may have.
const MaxEntries = 2000

// Feed is an Atom or RSS feed of alerts.
type Feed struct {
	Format  string // "Atom", "RSS"
	ID      string
	Title   string
	Updated time.Time // zero if the feed does not say
	Entries []Entry
}

// Entry is one entry of a feed. It contains alerts, or links to them.
type Entry struct {
	ID      string
	Title   string
	Updated time.Time
	Alerts  []Message
	Links   []string // links that may lead to its alert, the most likely first
	Err     error    // why an alert in it was refused
}

// usable reports whether the entry contains an alert or links to one.
func (e Entry) usable() bool { return e.Err == nil && (len(e.Alerts) > 0 || len(e.Links) > 0) }

func isFeed(root *node) bool {
	return root.name == "feed" && root.space == atomSpace || root.name == "rss" || root.name == "RDF"
}

// readFeed reads an Atom or RSS feed.
func readFeed(doc document, o Options, r *report) (Feed, error) {
	var faults report // of the entries: the feed is refused only if no entry is usable
	read := readRSS
	if doc.root.name == "feed" {
		read = readAtom
	}
	f := read(doc, o, r, &faults)
	if len(f.Entries) > MaxEntries {
		return Feed{}, refuse(ErrTooLarge, say.M("alert.feed_many", MaxEntries))
	}
	usable := 0
	for _, e := range f.Entries {
		if e.usable() {
			usable++
		}
	}
	if len(f.Entries) > 0 && usable == 0 {
		return Feed{}, faults.err(ErrInvalid)
	}
	r.warnings = append(r.warnings, faults.faults...)
	return f, nil
}

// atomParts are Atom's own elements that a feed or entry may have.
var atomParts = strings.Fields("author category content contributor entry generator icon id link logo " +
	"published rights source subtitle summary title updated")

// atomCheck reports the elements that RFC 4287 requires and n lacks, and Atom elements
// that n may not have.
func atomCheck(n *node, where string, r *report) {
	for _, name := range []string{"id", "title", "updated"} {
		if n.at(name) == "" {
			r.bad("alert.feed_missing", where+"/"+name)
		}
	}
	for _, k := range n.kids {
		if k.space == atomSpace && !slices.Contains(atomParts, k.name) {
			r.bad("alert.feed_element", where, printable(k.name))
		}
	}
}

func readAtom(doc document, o Options, r, faults *report) Feed {
	root := doc.root
	f := Feed{Format: "Atom", ID: root.at("id"), Title: root.at("title"), Updated: anyTime(root.at("updated"))}
	atomCheck(root, "feed", faults)
	for i, n := range root.all("entry") {
		if n.space != atomSpace || len(f.Entries) > MaxEntries {
			continue
		}
		where := fmt.Sprintf("feed/entry[%d]", i+1)
		atomCheck(n, where, faults)
		e := Entry{ID: n.at("id"), Title: n.at("title"), Updated: anyTime(n.at("updated"))}
		var others []string
		for _, l := range n.all("link") {
			href := strings.TrimSpace(l.attr("href"))
			switch rel := l.attr("rel"); {
			case href == "":
			case l.attr("type") == "application/cap+xml":
				e.Links = append(e.Links, href)
			case rel == "" || rel == "alternate" || rel == "enclosure":
				others = append(others, href)
			}
		}
		content := n.kid("content")
		if content != nil && content.attr("src") != "" {
			e.Links = append(e.Links, strings.TrimSpace(content.attr("src")))
		}
		e.Links = append(e.Links, others...)
		e.readAlerts(doc, content, where, o, r, faults)
		f.Entries = append(f.Entries, e)
	}
	return f
}

func readRSS(doc document, o Options, r, faults *report) Feed {
	channel := doc.root.kid("channel")
	f := Feed{Format: "RSS", ID: channel.at("link"), Title: channel.at("title"), Updated: anyTime(channel.at("lastBuildDate"))}
	for _, name := range []string{"title", "link", "description"} {
		if channel.at(name) == "" {
			faults.bad("alert.feed_missing", "rss/channel/"+name)
		}
	}
	items := channel.all("item")
	if len(items) == 0 {
		items = doc.root.all("item") // RSS 1.0 has them outside the channel
	}
	for i, n := range items {
		if len(f.Entries) > MaxEntries {
			break
		}
		where := fmt.Sprintf("rss/channel/item[%d]", i+1)
		e := Entry{Title: n.at("title"), Updated: anyTime(n.at("pubDate")), ID: n.at("guid")}
		for _, c := range n.all("enclosure") {
			if url := strings.TrimSpace(c.attr("url")); url != "" && c.attr("type") == "application/cap+xml" {
				e.Links = append(e.Links, url)
			}
		}
		if link := n.at("link"); link != "" {
			e.Links = append(e.Links, link)
			if e.ID == "" {
				e.ID = link
			}
		}
		e.readAlerts(doc, n, where, o, r, faults)
		f.Entries = append(f.Entries, e)
	}
	return f
}

// readAlerts reads the alerts inside an entry.
func (e *Entry) readAlerts(doc document, within *node, where string, o Options, r, faults *report) {
	var found []*node
	var collect func(*node)
	collect = func(n *node) {
		if _, ok := versionOf(n.space); ok && n.name == "alert" {
			found = append(found, n)
			return
		}
		for _, k := range n.kids {
			collect(k)
		}
	}
	if within != nil {
		collect(within)
	}
	for _, n := range found {
		if o.ended() {
			return
		}
		raw := extract(doc, n)
		var own report
		alone, err := readXML(raw, &own)
		var m Message
		if err == nil {
			m, err = parseCAP(alone, o, &own)
		}
		if err != nil {
			e.Err = err
			faults.bad("alert.feed_alert", where, err)
			continue
		}
		e.Alerts = append(e.Alerts, m.withReport(raw, &own))
		for _, w := range own.warnings {
			r.warn("alert.feed_alert", where, w)
		}
	}
	if e.Err == nil && !e.usable() {
		faults.bad("alert.feed_nowhere", where)
	}
}

// extract returns an element as a document of its own: its bytes unchanged, except that
// its first tag also declares the prefixes that it uses and only its ancestors declare.
func extract(doc document, n *node) []byte {
	raw := doc.utf8[n.from:n.to]
	declared, used := map[string]bool{"xml": true, "xmlns": true}, map[string]bool{}
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		t, err := d.RawToken()
		if err != nil {
			break
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		used[start.Name.Space] = true
		for _, a := range start.Attr {
			switch {
			case a.Name.Space == "xmlns":
				declared[a.Name.Local] = true
			case a.Name.Space == "" && a.Name.Local == "xmlns":
				declared[""] = true
			case a.Name.Space != "":
				used[a.Name.Space] = true
			}
		}
	}
	var add strings.Builder
	for _, prefix := range slices.Sorted(maps.Keys(used)) {
		if uri, ok := inherited(doc.root, n, prefix); ok && !declared[prefix] {
			name := " xmlns:" + prefix
			if prefix == "" {
				name = " xmlns"
			}
			add.WriteString(name + `="`)
			_ = xml.EscapeText(&add, []byte(uri)) // cannot fail on a strings.Builder
			add.WriteString(`"`)
		}
	}
	if add.Len() == 0 {
		return bytes.Clone(raw)
	}
	end := 1 + bytes.IndexAny(raw[1:], " \t\r\n/>")
	return append(append(bytes.Clone(raw[:end]), add.String()...), raw[end:]...)
}

// inherited returns the namespace that the ancestors of an element declare for a
// prefix.
func inherited(root, n *node, prefix string) (uri string, found bool) {
	for at := root; at != nil && at != n; {
		for _, a := range at.attrs {
			if a.Name.Space == "xmlns" && a.Name.Local == prefix || prefix == "" && a.Name.Space == "" && a.Name.Local == "xmlns" {
				uri, found = a.Value, true
			}
		}
		var down *node
		for _, k := range at.kids {
			if k.from <= n.from && n.to <= k.to {
				down = k
				break
			}
		}
		at = down
	}
	return uri, found
}

// anyTime reads a time in one of the forms used in feeds. It returns the zero time for
// any other text.
func anyTime(s string) time.Time {
	for _, form := range []string{time.RFC3339, time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST"} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
