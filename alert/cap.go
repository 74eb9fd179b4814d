package alert

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// parseCAP reads a CAP message. Rules that its text has and its schema has not, such
// as the form of references, are checked as strictly; but a shape that breaks them is
// no reason to refuse a message.
func parseCAP(doc document, o Options, r *report) (Message, error) {
	v, ok := versionOf(doc.root.space)
	if !ok {
		if doc.root.space == "" {
			return Message{}, refuse(ErrInvalid, say.M("alert.cap_no_space"))
		}
		return Message{}, refuse(ErrInvalid, say.M("alert.cap_space", printable(doc.root.space)))
	}
	v.check(doc.root, r)
	if err := r.err(ErrInvalid); err != nil {
		return Message{}, err
	}
	sent, err := v.time(doc.root.at("sent"))
	if err != nil {
		return Message{}, refuse(ErrInvalid, say.M("alert.cap_time", "alert/sent", printable(doc.root.at("sent"))))
	}
	signature, signed := checkCAPSignatures(doc, sent, o, r)
	root := doc.root
	if signed != nil {
		// Read the message from the bytes that the verified digest covers.
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

// check checks a message against the schema and the rules in CAP's text.
func (v version) check(root *node, r *report) {
	for _, a := range root.attrs {
		if foreignAttr(a.Name.Space, a.Name.Local) {
			r.warn("alert.cap_attr", "alert", printable(a.Name.Local))
		}
	}
	v.checkChildren(root, v.alert, "alert", r)
	checkNames(root, r)
	v.checkReferences(root, r)
	scope := root.at("scope")
	if scope == "Restricted" && root.at("restriction") == "" {
		r.warn("alert.cap_wants", "alert/restriction", scope)
	}
	if scope == "Private" && root.at("addresses") == "" {
		r.warn("alert.cap_wants", "alert/addresses", scope)
	}
	for i, info := range root.all("info") {
		v.checkInfo(info, fmt.Sprintf("alert/info[%d]", i+1), r)
	}
}

// checkNames checks the identifier and the sender. References to a message contain
// both, separated by commas and blanks, so neither may contain these.
func checkNames(root *node, r *report) {
	for _, name := range []string{"identifier", "sender"} {
		k := root.kid(name)
		if k == nil {
			continue
		}
		switch text := k.trimmed(); {
		case text == "":
			r.bad("alert.cap_empty", "alert/"+name)
		case len(text) > emergency.MaxName:
			r.bad("alert.long_name", "alert/"+name, len(text), emergency.MaxName)
		case strings.ContainsAny(text, " \t\r\n,<&"):
			r.bad("alert.cap_token", "alert/"+name, printable(text))
		case text != k.text:
			r.warn("alert.cap_blanks", "alert/"+name)
		}
	}
}

// checkReferences checks the form of the references, and warns if a cancel has none.
func (v version) checkReferences(root *node, r *report) {
	if k := root.kid("references"); k != nil {
		if _, err := v.references(k.text); err != nil {
			r.bad("alert.cap_references", printable(err.Error()))
		} else if k.trimmed() == "" {
			r.warn("alert.cap_no_references")
		} else if v.name == "1.2" && slices.ContainsFunc(strings.Fields(k.text), func(f string) bool {
			return !strictTime.MatchString(f[strings.LastIndexByte(f, ',')+1:])
		}) {
			r.warn("alert.cap_reference_time")
		}
	}
	if root.at("msgType") == "Cancel" && root.at("references") == "" {
		r.warn("alert.cap_cancels_nothing")
	}
}

// checkInfo checks what the schema does not say of one info and its areas.
func (v version) checkInfo(info *node, where string, r *report) {
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

// checkPairs warns of values of CAP 1.0 that are not of the form "name=value".
func checkPairs(n *node, name, where string, r *report) {
	for _, k := range n.all(name) {
		if !strings.Contains(k.text, "=") {
			r.warn("alert.cap_pair", where+"/"+name, printable(k.trimmed()))
		}
	}
}

// checkArea checks an area's description, codes and shapes.
func (v version) checkArea(area *node, where string, r *report) {
	if area.kid("areaDesc") != nil && area.at("areaDesc") == "" {
		r.warn("alert.cap_blank", where+"/areaDesc")
	}
	if v.name == "1.0" {
		checkPairs(area, "geocode", where, r)
	}
	for _, name := range []string{"polygon", "circle"} {
		for _, k := range area.all(name) {
			if k.trimmed() == "" {
				r.warn("alert.cap_blank", where+"/"+name)
			}
		}
	}
	for _, d := range drawings(area) {
		switch {
		case d.fault != nil:
			r.warn("alert.cap_shape_ignored", where+"/"+d.name, d.fault)
		case d.told != nil:
			r.warn("alert.cap_shape", where+"/"+d.name, *d.told)
		}
	}
}

// read makes a [Message] of a message that was checked.
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
	infos := firstOfLanguage(root.all("info"), r)
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
	seen := map[string]bool{}
	for _, info := range infos {
		v.readInfo(info, &a, &m, seen, r)
	}
	if len(a.Areas) == 0 && len(a.Shapes) == 0 && len(m.Unread) > 0 {
		a.Elsewhere = nil // it may be meant for any place: when in doubt, an alert sounds
		if a.Kind != emergency.KindCancel {
			r.warn("alert.cap_nowhere", printable(strings.Join(m.Unread, ", ")))
		}
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

// firstOfLanguage returns the first info of each language. A second info in the same
// language is in effect another alert; it is left out, with a note.
func firstOfLanguage(infos []*node, r *report) []*node {
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

// readInfo adds the info of one language to the alert. If the infos differ, the most
// severe level and the longest period count. seen are the sounds, areas and shapes that
// the alert has.
func (v version) readInfo(info *node, a *emergency.Alert, m *Message, seen map[string]bool, r *report) {
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
		if s, ok := readAudio(res, fmt.Sprintf("resource[%d]", i+1), r); ok && first(seen, "sound", string(s.SHA256), s.URI, s.Name) {
			a.Audio = append(a.Audio, s)
		}
	}
	for _, area := range info.all("area") {
		v.readArea(area, a, m, seen)
	}
}

// first notes a thing, and reports whether it is seen for the first time.
func first(seen map[string]bool, thing ...string) bool {
	key := strings.Join(thing, "\x00") // which XML does not allow
	again := seen[key]
	seen[key] = true
	return !again
}

// levels maps CAP's five severities to our four levels. The mapping is our own.
var levels = map[string]emergency.Level{
	"Extreme": emergency.Red, "Severe": emergency.Orange, "Moderate": emergency.Yellow,
	"Minor": emergency.Blue, "Unknown": emergency.Blue,
}

// severities is the same the other way.
var severities = map[emergency.Level]string{
	emergency.Red: "Extreme", emergency.Orange: "Severe", emergency.Yellow: "Moderate", emergency.Blue: "Minor",
}

// readArea adds an area to the alert: China's division codes, and shapes. Other names
// of the area are kept in Elsewhere: without them an alert for places that we cannot
// locate would look like an alert for all places. A shape that cannot be read is left
// out, and an area that has nothing else is in the message's Unread.
func (v version) readArea(area *node, a *emergency.Alert, m *Message, seen map[string]bool) {
	elsewhere := func(s string) {
		if s != "" && first(seen, "elsewhere", s) {
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
			if first(seen, "area", string(code)) {
				a.Areas = append(a.Areas, code)
			}
		}
	}
	broken := false
	for _, d := range drawings(area) {
		if d.fault != nil {
			broken = true
			continue
		}
		placed = true
		if first(seen, d.name, d.text) {
			a.Shapes = append(a.Shapes, d.shape)
		}
	}
	name := cmp.Or(area.at("areaDesc"), "?")
	switch {
	case placed:
	case broken && len(area.all("geocode")) == 0:
		if len(m.Unread) < maxUnread && !slices.Contains(m.Unread, name) {
			m.Unread = append(m.Unread, name)
		}
	default:
		elsewhere(name)
	}
}

// maxUnread is the most names of areas that are kept because they could not be read.
const maxUnread = 100

// pair returns the name and value of an element with valueName and value, or with CAP
// 1.0's "name=value".
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

// capID makes the ID of a message of its sender, identifier and time. The time is
// always written in UTC, so that a reference with another offset has the same ID.
func capID(sender, identifier string, sent time.Time) playlist.AlertID {
	return playlist.AlertID(sender + "," + identifier + "," + sent.UTC().Format("2006-01-02T15:04:05") + "-00:00")
}

// references reads "sender,identifier,sent" triples and returns their IDs. CAP 1.0 has
// "identifier/sender" without a time: the ID of such a reference ends after the second
// comma, and it means every message with that sender and identifier.
func (v version) references(text string) ([]playlist.AlertID, error) {
	var ids []playlist.AlertID
	seen := map[string]bool{}
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
		if first(seen, string(id)) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

var (
	division = regexp.MustCompile(`^(1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[12])[0-9]+$`)
	// othersCode matches the names of other codes, which may have six digits too. A
	// short number is a division of China only if its name is none of these.
	othersCode = regexp.MustCompile(`(?i)same|fips|ugc|clc|cap-cp|emma|nuts|iso|postcode|zip`)
)

// divisions reads a geocode as one or more division codes of China. A code has 12
// digits, or 6 or 9 digits that are completed with zeros.
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

// of12379 matches an identifier of 12379, China's warning platform: the issuer's
// division and agency, the time in Beijing and, if that is not unique, a number.
var of12379 = regexp.MustCompile(`^(\d{6})\d{4,14}_(\d{14})(?:_[0-9A-Za-z]+)*$`)

// issuer12379 returns the division that issued a message of 12379, or "" for other
// messages.
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

// readAudio reads a resource. It returns false if the resource is not audio, or has
// neither data nor a URI.
func readAudio(res *node, where string, r *report) (emergency.Audio, bool) {
	media, uri := strings.ToLower(res.at("mimeType")), res.at("uri")
	if media == "" {
		media = mediaOf(uri)
	}
	if !strings.HasPrefix(media, "audio/") {
		return emergency.Audio{}, false
	}
	s := emergency.Audio{Name: cmp.Or(baseName(uri), res.at("resourceDesc")), MediaType: media, URI: uri, Digest: res.at("digest")}
	k := res.kid("derefUri")
	if k.trimmed() == "" {
		return s, uri != ""
	}
	s.Inline = true
	data, whole := fromBase64(k.text)
	switch of := Digest(data, k.text, s.Digest); {
	case whole:
		s = withData(s, data, k.text, where, r)
	case of == OfBytes: // what was changed on the way is no part of it
		s = withData(s, data, "", where, r)
		r.warn("alert.audio_base64_mended", where)
	default:
		s.Unfit = data
		r.warn("alert.audio_base64", where)
	}
	return s, len(s.Data)+len(s.Unfit) > 0 || uri != ""
}

// baseName returns the last part of a URI's path, or "".
func baseName(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	if name := path.Base(uri); name != "." && name != "/" {
		return name
	}
	return ""
}

// mediaOf returns the media type for a file name, or "".
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
