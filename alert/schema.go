package alert

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// form is the form that the text of an element without children must have.
type form int

const (
	words    form = iota // anything
	oneOf                // a value of the rule's list
	moment               // dateTime with an offset
	language             // xs:language
	integer              // xs:integer
	decimal              // xs:decimal
	address              // xs:anyURI; a bad one is only a warning
)

// rule describes one element of the schema. Rules are in the order that the schema
// requires of the elements.
type rule struct {
	name     string
	required bool
	many     bool
	form     form
	values   []string
	kids     []rule // the children, of an element that contains only elements
}

// version is one version of CAP.
type version struct {
	name  string // "1.2"
	space string // its namespace
	alert []rule
}

const signatureSpace = "http://www.w3.org/2000/09/xmldsig#"

// versions are the three versions that OASIS published. 1.2, the most used one, comes
// first.
var versions = []version{
	{"1.2", "urn:oasis:names:tc:emergency:cap:1.2", alertRules(12)},
	{"1.1", "urn:oasis:names:tc:emergency:cap:1.1", alertRules(11)},
	{"1.0", "http://www.incident.com/cap/1.0", alertRules(10)},
}

func versionOf(space string) (version, bool) {
	i := slices.IndexFunc(versions, func(v version) bool { return v.space == space })
	if i < 0 {
		return version{}, false
	}
	return versions[i], true
}

// alertRules returns the schema of CAP version v/10 as a table. A test compares it with
// the XSDs.
func alertRules(v int) []rule {
	need := func(name string, f form) rule { return rule{name: name, required: true, form: f} }
	may := func(name string, f form) rule { return rule{name: name, form: f} }
	enum := func(name string, required bool, values ...string) rule {
		return rule{name: name, required: required, form: oneOf, values: values}
	}
	many := func(r rule) rule { r.many = true; return r }
	since := func(first int, r ...rule) []rule {
		if v < first {
			return nil
		}
		return r
	}
	// pair is an element with a name and a value; in CAP 1.0 its text is "name=value".
	pair := func(name string) rule {
		r := rule{name: name, many: true}
		if v >= 11 {
			r.kids = []rule{need("valueName", words), need("value", words)}
		}
		return r
	}
	metres := words
	if v >= 12 {
		metres = decimal
	}
	status := []string{"Actual", "Exercise", "System", "Test"}
	categories := []string{"Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra"}
	certainty := []string{"Very Likely", "Likely", "Possible", "Unlikely", "Unknown"}
	responses := []string{"Shelter", "Evacuate", "Prepare", "Execute", "Monitor", "Assess", "None"}
	if v >= 11 {
		status = append(status, "Draft")
		categories = append(categories, "CBRNE")
		certainty[0] = "Observed"
	}
	if v >= 12 {
		responses = append(responses, "Avoid", "AllClear")
	}
	resource := slices.Concat([]rule{
		need("resourceDesc", words),
		{name: "mimeType", required: v >= 12},
		may("size", integer),
		may("uri", address),
	}, since(11, may("derefUri", words)), []rule{
		may("digest", words),
	})
	area := []rule{
		need("areaDesc", words),
		many(may("polygon", words)),
		many(may("circle", words)),
		pair("geocode"),
		may("altitude", metres),
		may("ceiling", metres),
	}
	info := slices.Concat([]rule{
		may("language", language),
		many(enum("category", v >= 11, append(categories, "Other")...)),
		need("event", words),
	}, since(11, many(enum("responseType", false, responses...))), []rule{
		enum("urgency", true, "Immediate", "Expected", "Future", "Past", "Unknown"),
		enum("severity", true, "Extreme", "Severe", "Moderate", "Minor", "Unknown"),
		enum("certainty", true, certainty...),
		may("audience", words),
		pair("eventCode"),
		may("effective", moment),
		may("onset", moment),
		may("expires", moment),
		may("senderName", words),
		may("headline", words),
		may("description", words),
		may("instruction", words),
		may("web", address),
		may("contact", words),
		pair("parameter"),
		{name: "resource", many: true, kids: resource},
		{name: "area", many: true, kids: area},
	})
	password := may("password", words)
	return slices.Concat([]rule{
		need("identifier", words),
		need("sender", words),
		need("sent", moment),
		enum("status", true, status...),
		enum("msgType", true, "Alert", "Update", "Cancel", "Ack", "Error"),
	}, slices.DeleteFunc([]rule{password}, func(rule) bool { return v >= 11 }), []rule{
		may("source", words),
		enum("scope", v >= 11, "Public", "Restricted", "Private"),
		may("restriction", words),
		may("addresses", words),
		many(may("code", words)),
		may("note", words),
		may("references", words),
		may("incidents", words),
		{name: "info", many: true, kids: info},
	})
}

// checkChildren checks an element's children against the rules and reports every fault.
func (v version) checkChildren(n *node, rules []rule, path string, r *report) {
	if strings.TrimSpace(n.text) != "" {
		r.bad("alert.cap_text", path, printable(strings.TrimSpace(n.text)))
	}
	total, count := map[string]int{}, map[string]int{}
	for _, k := range n.kids {
		total[k.name]++
	}
	next := 0      // the first rule whose element may still come
	late := false  // an element came too late
	ended := false // the signatures have begun
	for _, k := range n.kids {
		if k.space == signatureSpace && path == "alert" {
			ended = true // 1.2 allows them; 1.0 and 1.1 do not, but signed messages have them all the same
			continue
		}
		i := slices.IndexFunc(rules, func(r rule) bool { return r.name == k.name })
		if k.space != v.space || i < 0 {
			r.bad("alert.cap_element", path, printable(k.qualified()))
			continue
		}
		rule := rules[i]
		count[k.name]++
		where := path + "/" + k.name
		if rule.many && total[k.name] > 1 {
			where += fmt.Sprintf("[%d]", count[k.name])
		}
		switch {
		case count[k.name] == 2 && !rule.many:
			r.bad("alert.cap_twice", where)
		case ended || i < next:
			if !late {
				r.bad("alert.cap_order", where)
			}
			late = true
		default:
			next = i
		}
		v.checkElement(k, rule, where, r)
	}
	for _, rule := range rules {
		if rule.required && count[rule.name] == 0 {
			r.bad("alert.cap_missing", path+"/"+rule.name)
		}
	}
}

// checkElement checks one element against its rule.
func (v version) checkElement(k *node, rule rule, where string, r *report) {
	for _, a := range k.attrs {
		if foreignAttr(a.Name.Space, a.Name.Local) {
			r.warn("alert.cap_attr", where, printable(a.Name.Local))
		}
	}
	if rule.kids != nil {
		v.checkChildren(k, rule.kids, where, r)
		return
	}
	if len(k.kids) > 0 {
		r.bad("alert.cap_element", where, printable(k.kids[0].qualified()))
		return
	}
	text := k.trimmed()
	switch rule.form {
	case oneOf:
		switch {
		case slices.Contains(rule.values, text):
			if text != k.text {
				r.warn("alert.cap_blanks", where)
			}
		case rule.name == "certainty" && text == "Very Likely":
			r.warn("alert.cap_very_likely", where) // CAP 1.2 says to treat it as Likely
		default:
			r.bad("alert.cap_value", where, printable(text), strings.Join(rule.values, ", "))
		}
	case moment:
		if _, err := v.time(text); err != nil {
			r.bad("alert.cap_time", where, printable(text))
		}
	case language:
		// An empty element has the schema's default, en-US.
		if text != "" && !languageForm.MatchString(text) {
			r.bad("alert.cap_form", where, printable(text), "xs:language")
		}
	case integer:
		if !integerForm.MatchString(text) {
			r.bad("alert.cap_form", where, printable(text), "xs:integer")
		}
	case address:
		if _, err := url.Parse(text); err != nil {
			r.warn("alert.cap_form", where, printable(text), "xs:anyURI")
		}
	case decimal:
		if !decimalForm.MatchString(text) {
			r.bad("alert.cap_form", where, printable(text), "xs:decimal")
		}
	}
}

// foreignAttr reports whether an attribute is not allowed. The schemas have no
// attributes, but any document may declare namespaces and name a schema.
func foreignAttr(space, name string) bool {
	return space != "xmlns" && (space != "" || name != "xmlns") &&
		space != "http://www.w3.org/2001/XMLSchema-instance"
}

var (
	languageForm = regexp.MustCompile(`^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$`)
	integerForm  = regexp.MustCompile(`^[-+]?[0-9]+$`)
	decimalForm  = regexp.MustCompile(`^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)
	strictTime   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d$`)
	looseTime    = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[-+]\d\d:\d\d)$`)
)

// time reads a dateTime. CAP 1.2 requires a numeric offset and whole seconds; 1.0 and
// 1.1 allow Z and fractions. Their schemas also allow a time without an offset, but it
// is refused, because their text requires one.
func (v version) time(s string) (time.Time, error) {
	form := looseTime
	if v.name == "1.2" {
		form = strictTime
	}
	if !form.MatchString(s) {
		return time.Time{}, fmt.Errorf("%q is no time with an offset", s)
	}
	return instant(s)
}

// instant reads a time that matches looseTime.
func instant(s string) (time.Time, error) {
	day := time.Duration(0)
	if s[11:19] == "24:00:00" { // xs:dateTime allows this for the end of the day
		s, day = s[:11]+"00"+s[13:], 24*time.Hour
	}
	t, err := time.Parse("2006-01-02T15:04:05.999999999Z07:00", s)
	if err != nil {
		return time.Time{}, err
	}
	if _, offset := t.Zone(); offset < -14*3600 || offset > 14*3600 {
		return time.Time{}, fmt.Errorf("%q: no zone is that far off", s)
	}
	return t.Add(day).UTC(), nil
}
