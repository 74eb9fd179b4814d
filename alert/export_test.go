package alert

// Rule is a row of the tables, for the test that compares them with the XSDs.
type Rule struct {
	Name           string
	Required, Many bool
	Form           string
	Values         []string
	Kids           []Rule
}

// SchemaOf returns the table of a CAP version.
func SchemaOf(name string) (space string, rules []Rule) {
	for _, v := range versions {
		if v.name == name {
			return v.space, exported(v.alert)
		}
	}
	return "", nil
}

func exported(rules []rule) []Rule {
	names := map[form]string{words: "string", oneOf: "string", moment: "dateTime", language: "language",
		integer: "integer", decimal: "decimal", address: "anyURI"}
	var out []Rule
	for _, r := range rules {
		form := names[r.form]
		if r.kids != nil {
			form = ""
		}
		out = append(out, Rule{r.name, r.required, r.many, form, r.values, exported(r.kids)})
	}
	return out
}
