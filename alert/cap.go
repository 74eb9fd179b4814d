package alert

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// parseCAP reads a CAP message. What its schema has not but every version
// means (references in triples, closed polygons) is held as strictly.
func parseCAP(doc document, o Options, r *report) (Message, error) {
	v, ok := versionOf(doc.root.space)
	if !ok {
		return Message{}, refuse(ErrInvalid, say.M("alert.cap_space", shown(doc.root.space)))
	}
	v.check(doc.root, r)
	if err := r.err(ErrInvalid); err != nil {
		return Message{}, err
	}
	sent, err := v.time(doc.root.at("sent"))
	if err != nil {
		return Message{}, refuse(ErrInvalid, say.M("alert.cap_time", "alert/sent", shown(doc.root.at("sent"))))
	}
	signature, signed := checkSeal(doc, sent, o, r)
	root := doc.root
	if signed != nil {
		// What was verified is what is read: the very bytes that the digest is of.
		var again report
		if v.check(signed, &again); len(again.faults) > 0 || signed.space != v.space || signed.name != "alert" {
			signature = emergency.Signature{State: emergency.SignatureBad, Why: "alert.seal_reference"}
		} else {
			root = signed
		}
	}
	m := v.read(root, r)
	m.Alert.Signature = signature
	return m, nil
}

// check holds a message to the schema and to what its prose adds.
func (v version) check(root *node, r *report) {
	for _, a := range root.attrs {
		if foreignAttr(a.Name.Space, a.Name.Local) {
			r.warn("alert.cap_attr", "alert", shown(a.Name.Local))
		}
	}
	v.obey(root, v.alert, "alert", r)

	// Names are part of references, which separate them by blanks and commas.
	for _, name := range []string{"identifier", "sender"} {
		k := root.kid(name)
		if k == nil {
			continue
		}
		switch text := k.trimmed(); {
		case text == "":
			r.bad("alert.cap_empty", "alert/"+name)
		case strings.ContainsAny(text, " \t\r\n,<&"):
			r.bad("alert.cap_token", "alert/"+name, shown(text))
		case text != k.text:
			r.warn("alert.cap_blanks", "alert/"+name)
		}
	}
	if k := root.kid("references"); k != nil {
		if _, err := v.references(k.text); err != nil {
			r.bad("alert.cap_references", shown(err.Error()))
		} else if k.trimmed() == "" {
			r.warn("alert.cap_no_references")
		} else if v.name == "1.2" && slices.ContainsFunc(strings.Fields(k.text), func(f string) bool {
			return !strictTime.MatchString(f[strings.LastIndexByte(f, ',')+1:])
		}) {
			r.warn("alert.cap_reference_time")
		}
	}
	kind, scope := root.at("msgType"), root.at("scope")
	if kind == "Cancel" && root.at("references") == "" {
		r.warn("alert.cap_cancels_nothing")
	}
	if scope == "Restricted" && root.at("restriction") == "" {
		r.warn("alert.cap_wants", "alert/restriction", scope)
	}
	if scope == "Private" && root.at("addresses") == "" {
		r.warn("alert.cap_wants", "alert/addresses", scope)
	}
	for i, info := range root.all("info") {
		where := fmt.Sprintf("alert/info[%d]", i+1)
		if v.name == "1.0" {
			for _, name := range []string{"eventCode", "parameter"} {
				checkPairs(info, name, where, r)
			}
		}
		if info.kid("event") != nil && info.at("event") == "" {
			r.warn("alert.cap_blank", where+"/event")
		}
		for j, area := range info.all("area") {
			v.checkArea(area, fmt.Sprintf("%s/area[%d]", where, j+1), r)
		}
	}
}

// checkPairs tells of pairs of CAP 1.0 that are none: "name=value" is wanted.
func checkPairs(n *node, name, where string, r *report) {
	for _, k := range n.all(name) {
		if !strings.Contains(k.text, "=") {
			r.warn("alert.cap_pair", where+"/"+name, shown(k.trimmed()))
		}
	}
}

func (v version) checkArea(area *node, where string, r *report) {
	if area.kid("areaDesc") != nil && area.at("areaDesc") == "" {
		r.warn("alert.cap_blank", where+"/areaDesc")
	}
	if v.name == "1.0" {
		checkPairs(area, "geocode", where, r)
	}
	for _, shape := range []struct {
		name string
		read func(string) (emergency.Shape, error)
	}{{"polygon", polygon}, {"circle", circle}} {
		for _, k := range area.all(shape.name) {
			if k.trimmed() == "" {
				r.warn("alert.cap_blank", where+"/"+shape.name)
				continue
			}
			if _, err := shape.read(k.text); err != nil {
				r.bad("alert.cap_shape", where+"/"+shape.name, err)
			}
		}
	}
}

// read turns a message that was checked into ours.
func (v version) read(root *node, r *report) Message {
	m := Message{Kind: KindAlert, Status: root.at("status"), Scope: root.at("scope")}
	sent, _ := v.time(root.at("sent"))
	a := emergency.Alert{
		Format:     "CAP " + v.name,
		Identifier: root.at("identifier"),
		Sender:     root.at("sender"),
		Sent:       sent,
		Level:      emergency.Blue,
	}
	a.ID = capID(a.Sender, a.Identifier, sent)
	a.Refs, _ = v.references(root.at("references"))
	m.Issuer = issuer12379(a.Identifier)

	switch root.at("msgType") {
	case "Alert":
		a.Kind = emergency.KindRequest
	case "Update":
		a.Kind = emergency.KindUpdate
	case "Cancel":
		a.Kind = emergency.KindCancel
	default:
		a.Kind, m.Kind = emergency.KindAnswer, KindAnswer
	}
	infos := winners(root.all("info"), r)
	switch {
	case m.Kind == KindAnswer:
		a.Class = emergency.ClassTest
		m.Silent = say.M("alert.silent_answer", root.at("msgType"))
	case m.Scope != "Public" && m.Scope != "":
		a.Class = emergency.ClassNotPublic
		m.Silent = say.M("alert.silent_scope", m.Scope)
	case m.Status == "Actual":
		a.Class = emergency.ClassEmergency
	case m.Status == "Exercise":
		a.Class = emergency.ClassDrillActual
	default:
		a.Class = emergency.ClassTest
		m.Silent = say.M("alert.silent_status", m.Status)
	}
	if m.Silent.Key == "" && a.Kind != emergency.KindCancel && len(infos) == 0 {
		m.Silent = say.M("alert.silent_empty")
	}
	for _, info := range infos {
		v.readInfo(info, &a, &m, r)
	}
	if a.NotBefore.IsZero() {
		a.NotBefore = sent
	}
	if !a.NotAfter.IsZero() && !a.NotAfter.After(a.NotBefore) {
		r.note("alert.cap_never", a.NotAfter.Format(time.RFC3339), a.NotBefore.Format(time.RFC3339))
	}
	m.Alert = a
	return m
}

// winners are the first info of each language. What else is said in a language
// that has been heard is another alert's worth, and has no place in this one.
func winners(infos []*node, r *report) []*node {
	heard := map[string]bool{}
	var first []*node
	for i, info := range infos {
		l := strings.ToLower(languageOf(info))
		if heard[l] {
			r.note("alert.cap_again", fmt.Sprintf("alert/info[%d]", i+1), languageOf(info))
			continue
		}
		heard[l] = true
		first = append(first, info)
	}
	return first
}

func languageOf(info *node) string { return cmp.Or(info.at("language"), "en-US") }

// readInfo adds what one language's block says. Where blocks differ, the graver
// level and the wider time hold.
func (v version) readInfo(info *node, a *emergency.Alert, m *Message, r *report) {
	if level, ok := levels[info.at("severity")]; ok && (len(a.Texts) == 0 || level < a.Level) {
		a.Level = level
	}
	a.SenderName = cmp.Or(a.SenderName, info.at("senderName"))
	a.Event = cmp.Or(a.Event, info.at("event"))
	for _, p := range info.all("eventCode") {
		if _, value := v.pair(p); a.EventCode == "" {
			a.EventCode = value
		}
	}
	for _, p := range info.all("parameter") {
		name, value := v.pair(p)
		if m.Parameters == nil {
			m.Parameters = map[string]string{}
		}
		if _, again := m.Parameters[name]; !again {
			m.Parameters[name] = value
		}
	}
	text := emergency.Text{
		Language: languageOf(info),
		Title:    info.at("headline"),
		Text:     cmp.Or(info.at("description"), info.at("headline"), info.at("event")),
		Advice:   info.at("instruction"),
	}
	a.Texts = append(a.Texts, text)
	if t, err := v.time(info.at("effective")); err == nil && (a.NotBefore.IsZero() || t.Before(a.NotBefore)) {
		a.NotBefore = t
	}
	if t, err := v.time(info.at("expires")); err == nil && t.After(a.NotAfter) {
		a.NotAfter = t
	}
	for i, res := range info.all("resource") {
		if s, ok := sound(res, fmt.Sprintf("resource[%d]", i+1), r); ok && !slices.ContainsFunc(a.Audio, func(b emergency.Audio) bool {
			return b.SHA256 == s.SHA256 && b.URI == s.URI && b.Name == s.Name
		}) {
			a.Audio = append(a.Audio, s)
		}
	}
	for _, area := range info.all("area") {
		v.readArea(area, a)
	}
}

// Ours: CAP knows five severities, the ladder four levels.
var levels = map[string]emergency.Level{
	"Extreme": emergency.Red, "Severe": emergency.Orange, "Moderate": emergency.Yellow,
	"Minor": emergency.Blue, "Unknown": emergency.Blue,
}

// readArea adds where an alert is for: division codes of China and shapes. What
// else an area calls itself is kept too, so that an alert for places that
// nobody here can put on a map is not taken for one for everybody.
func (v version) readArea(area *node, a *emergency.Alert) {
	elsewhere := func(s string) {
		if s != "" && len(a.Elsewhere) < maxElsewhere && !slices.Contains(a.Elsewhere, s) {
			a.Elsewhere = append(a.Elsewhere, s)
		}
	}
	placed := false
	for _, g := range area.all("geocode") {
		name, value := v.pair(g)
		codes, ok := divisions(name, value)
		if !ok {
			elsewhere(name + "=" + value)
			continue
		}
		placed = true
		for _, code := range codes {
			if !slices.Contains(a.Areas, code) {
				a.Areas = append(a.Areas, code)
			}
		}
	}
	for _, read := range []struct {
		name string
		read func(string) (emergency.Shape, error)
	}{{"polygon", polygon}, {"circle", circle}} {
		for _, k := range area.all(read.name) {
			shape, err := read.read(k.text)
			if err != nil {
				continue
			}
			placed = true
			same := func(s emergency.Shape) bool {
				return s.RadiusKM == shape.RadiusKM && slices.Equal(s.Points, shape.Points)
			}
			if len(a.Shapes) < maxShapes && !slices.ContainsFunc(a.Shapes, same) {
				a.Shapes = append(a.Shapes, shape)
			}
		}
	}
	if !placed {
		elsewhere(cmp.Or(area.at("areaDesc"), "?"))
	}
}

// What one alert may name. More would only be slow.
const (
	maxElsewhere = 500
	maxShapes    = 500
)

// pair is a valueName and value, or CAP 1.0's "name=value".
func (v version) pair(n *node) (name, value string) {
	if v.name != "1.0" {
		return n.at("valueName"), n.at("value")
	}
	name, value, ok := strings.Cut(n.trimmed(), "=")
	if !ok {
		return "", n.trimmed()
	}
	return strings.TrimSpace(name), strings.TrimSpace(value)
}

// capID joins what names a message. The instant is written in one way, so that
// a reference in another offset still finds it.
func capID(sender, identifier string, sent time.Time) playlist.AlertID {
	return playlist.AlertID(sender + "," + identifier + "," + sent.UTC().Format("2006-01-02T15:04:05") + "-00:00")
}

// references reads "sender,identifier,sent" triples. CAP 1.0 has
// "identifier/sender" and no time: such a reference ends in its comma, and
// means whichever of that name was sent.
func (v version) references(text string) ([]playlist.AlertID, error) {
	var ids []playlist.AlertID
	for _, field := range strings.Fields(text) {
		var id playlist.AlertID
		if v.name == "1.0" {
			i := strings.IndexByte(field, '/')
			if i < 1 || i == len(field)-1 || strings.Contains(field, ",") {
				return nil, errors.New(field)
			}
			id = playlist.AlertID(field[i+1:] + "," + field[:i] + ",")
		} else {
			part := strings.Split(field, ",")
			if len(part) != 3 || part[0] == "" || part[1] == "" || !looseTime.MatchString(part[2]) {
				return nil, errors.New(field)
			}
			sent, err := instant(part[2])
			if err != nil {
				return nil, errors.New(field)
			}
			id = capID(part[0], part[1], sent)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if len(ids) > maxRefs {
			return nil, fmt.Errorf("> %d", maxRefs)
		}
	}
	return ids, nil
}

const maxRefs = 500

// polygon reads blank-separated "lat,lon" pairs: four or more, the first and
// the last the same.
func polygon(text string) (emergency.Shape, error) {
	fields := strings.Fields(text)
	if len(fields) < 4 {
		return emergency.Shape{}, say.M("alert.shape_few", len(fields))
	}
	s := emergency.Shape{Points: make([][2]float64, len(fields))}
	for i, f := range fields {
		p, err := point(f)
		if err != nil {
			return emergency.Shape{}, err
		}
		s.Points[i] = p
	}
	if s.Points[0] != s.Points[len(fields)-1] {
		return emergency.Shape{}, say.M("alert.shape_open", fields[0], fields[len(fields)-1])
	}
	return s, nil
}

// circle reads "lat,lon radius", in kilometres.
func circle(text string) (emergency.Shape, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return emergency.Shape{}, say.M("alert.shape_circle", shown(text))
	}
	p, err := point(fields[0])
	if err != nil {
		return emergency.Shape{}, err
	}
	radius, err := number(fields[1])
	if err != nil || radius < 0 || radius > 20_040 { // half way round the earth
		return emergency.Shape{}, say.M("alert.shape_circle", shown(text))
	}
	return emergency.Shape{Points: [][2]float64{p}, RadiusKM: radius}, nil
}

func point(s string) ([2]float64, error) {
	lat, lon, ok := strings.Cut(s, ",")
	if !ok {
		return [2]float64{}, say.M("alert.shape_point", shown(s))
	}
	y, yErr := number(lat)
	x, xErr := number(lon)
	if yErr != nil || xErr != nil {
		return [2]float64{}, say.M("alert.shape_point", shown(s))
	}
	if y < -90 || y > 90 || x < -180 || x > 180 {
		return [2]float64{}, say.M("alert.shape_range", shown(s))
	}
	return [2]float64{y, x}, nil
}

// number reads a plain decimal: no exponent, no hex, no infinity.
func number(s string) (float64, error) {
	if !decimalForm.MatchString(s) || len(s) > 40 {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

var (
	division = regexp.MustCompile(`^(1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12])[0-9]+$`)
	// Others' codes may have six digits too: only a name that is none of theirs
	// makes a short number a division of China.
	othersCode = regexp.MustCompile(`(?i)same|fips|ugc|clc|cap-cp|emma|nuts|iso|postcode|zip`)
)

// divisions reads a geocode as division codes of China: 12 digits, or 6 or 9
// that zeros complete; several may stand in a list.
func divisions(name, value string) ([]playlist.Area, bool) {
	var codes []playlist.Area
	for _, f := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" ,;，、；\n\t", r) }) {
		if !division.MatchString(f) || len(f) != 12 && (len(f) != 6 && len(f) != 9 || othersCode.MatchString(name)) {
			return nil, false
		}
		code, err := playlist.ParseArea(f + strings.Repeat("0", 12-len(f)))
		if err != nil {
			return nil, false
		}
		codes = append(codes, code)
	}
	return codes, len(codes) > 0
}

// of12379 is an identifier of China's warning platform: the issuer's division
// and agency, the time in Beijing, and where one is not enough a number.
var of12379 = regexp.MustCompile(`^(\d{6})\d{4,14}_(\d{14})(?:_[0-9A-Za-z]+)*$`)

// issuer12379 is the division that issued a message of 12379, else empty.
func issuer12379(identifier string) playlist.Area {
	m := of12379.FindStringSubmatch(identifier)
	if m == nil {
		return ""
	}
	if _, err := time.Parse("20060102150405", m[2]); err != nil {
		return ""
	}
	codes, _ := divisions("", m[1])
	if len(codes) == 0 {
		return ""
	}
	return codes[0]
}

// sound reads a resource that is audio.
func sound(res *node, where string, r *report) (emergency.Audio, bool) {
	media, uri := strings.ToLower(res.at("mimeType")), res.at("uri")
	if media == "" {
		media = mediaOf(uri)
	}
	if !strings.HasPrefix(media, "audio/") {
		return emergency.Audio{}, false
	}
	s := emergency.Audio{Name: cmp.Or(baseName(uri), res.at("resourceDesc")), MediaType: media, URI: uri, Digest: res.at("digest")}
	text := res.at("derefUri")
	if text == "" {
		return s, uri != ""
	}
	data, err := fromBase64(text)
	if err != nil {
		r.warn("alert.audio_base64", where)
		return s, uri != ""
	}
	s = taken(s, data, text, where, r)
	return s, len(s.Data) > 0 || uri != ""
}

func baseName(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	if name := path.Base(uri); name != "." && name != "/" {
		return name
	}
	return ""
}

func mediaOf(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), "?")
	switch path.Ext(name) {
	case ".mp3", ".mp2":
		return "audio/mpeg"
	case ".wav":
		return "audio/wav"
	}
	return ""
}
