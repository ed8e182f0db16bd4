package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// maxBody of a request, unless its endpoint allows more. A text for 255 parts
// has 40 KB.
const maxBody = 1 << 20

// call is one request on its way through a handler.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	ctx  context.Context
	who  caller
	end  endpoint
	lang string
	body []byte // as it came; nil until read
}

// reply is an answer not yet written. A nil reply: the handler wrote itself.
type reply struct {
	status int
	body   []byte
	repeat bool // an earlier answer, given again
}

// answer encodes v as the reply of a handler.
func answer(status int, v any) (*reply, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("api: encoding an answer: %w", err)
	}
	return &reply{status: status, body: buf.Bytes()}, nil
}

// adapt turns a handler into an http.HandlerFunc: who asks, may they, do it,
// answer or explain.
func (a *API) adapt(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, ctx: r.Context(), end: e, lang: a.language(r)}
		rep, err := a.serve(c)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if rep == nil {
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		if rep.status >= 400 { // a refusal that is kept
			h.Set("Content-Type", "application/problem+json")
		}
		h.Set("Content-Length", strconv.Itoa(len(rep.body)))
		h.Set("Cache-Control", "no-store")
		if rep.repeat {
			h.Set("Idempotency-Replayed", "true")
		}
		w.WriteHeader(rep.status)
		if _, err := w.Write(rep.body); err != nil {
			// The caller has gone. What was committed stays; it may ask again.
			a.log.Debug("answer not taken", "path", e.path, "err", err)
		}
	}
}

func (a *API) serve(c *call) (*reply, error) {
	var err error
	if c.who, err = a.authenticate(c.r, c.end.scopes); err != nil {
		return nil, err
	}
	if c.r.Header.Get("Idempotency-Key") == "" || c.end.method != http.MethodPost || c.end.owns || c.end.secret {
		return c.end.handle(a, c)
	}
	return a.once(c)
}

// language of the plain words in an answer: ?lang, Accept-Language, the shop's.
func (a *API) language(r *http.Request) string {
	if r.URL.RawQuery != "" {
		if l := r.URL.Query().Get("lang"); slices.Contains(queue.Languages, l) {
			return l
		}
	}
	accept := r.Header.Get("Accept-Language")
	for accept != "" {
		var tag string
		tag, accept, _ = strings.Cut(accept, ",")
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), ";")
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		if slices.Contains(queue.Languages, tag) {
			return tag
		}
	}
	return a.cfg.Language
}

// read returns the body, at most as much as the endpoint allows.
func (c *call) read() ([]byte, error) {
	if c.body != nil {
		return c.body, nil
	}
	most := cmp.Or(c.end.body, maxBody)
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refusal(http.StatusRequestEntityTooLarge, "body_too_large", "",
			fmt.Sprintf("the request is larger than %d MB. Send fewer or shorter messages in one call", most>>20))
	}
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "body_unreadable", "", "the request broke off before its end. Send it again")
	}
	c.body = body
	return body, nil
}

// decode reads the body as one JSON object of v's fields and no others.
func (c *call) decode(v any) error {
	body, err := c.read()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return refusal(http.StatusBadRequest, "body_missing", "", "the request has no body. Send a JSON object, as in the description at /openapi.json")
	}
	return decodeJSON(body, v)
}

func decodeJSON(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badJSON(err, v)
	}
	if _, err := dec.Token(); err != io.EOF {
		return refusal(http.StatusBadRequest, "json_invalid", "", "something follows the JSON object. Send one object in each request")
	}
	return nil
}

// badJSON says in the words of the API what encoding/json refused.
func badJSON(err error, v any) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return refusal(http.StatusBadRequest, "json_invalid", "", "the body must be a JSON object, not a "+e.Value)
		}
		return refusal(http.StatusBadRequest, "wrong_type", e.Field,
			fmt.Sprintf("%s cannot be a %s. Send a %s", e.Field, e.Value, jsonName(e.Type)))
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return refusal(http.StatusBadRequest, "json_invalid", "",
			fmt.Sprintf("the body is not JSON: %s, at byte %d", e.Error(), e.Offset))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if unquoted, uerr := strconv.Unquote(name); uerr == nil {
			name = unquoted
		}
		return unknownField(name, fieldNames(reflect.TypeOf(v)))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return refusal(http.StatusBadRequest, "json_invalid", "", "the JSON object has no end. Send all of it")
	}
	return refusal(http.StatusBadRequest, "json_invalid", "", "the body cannot be read: "+err.Error())
}

func unknownField(name string, known []string) error {
	detail := fmt.Sprintf("%q is not a field of this call. ", name)
	if near := outreach.Nearest(name, known); near != "" {
		detail += fmt.Sprintf("Did you mean %q? ", near)
	}
	return refusal(http.StatusBadRequest, "unknown_field", name, detail+"Fields: "+strings.Join(known, ", "))
}

// fieldNames lists the JSON names of a struct, embedded ones too.
func fieldNames(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text in quotes"
	case reflect.Slice:
		return "list in square brackets"
	case reflect.Map, reflect.Struct:
		return "object in braces"
	}
	return "whole number"
}

// limit reads ?limit: 1 to 1000.
func limit(q url.Values, usual int) (int, error) {
	s := q.Get("limit")
	if s == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1000 {
		return 0, refusal(http.StatusBadRequest, "out_of_range", "limit", "limit must be a number from 1 to 1000")
	}
	return n, nil
}

// only refuses query parameters that a call does not have, so that a filter
// with a typing error is not read as no filter.
func only(q url.Values, known ...string) error {
	for name := range q {
		if name != "lang" && !slices.Contains(known, name) {
			return unknownField(name, known)
		}
	}
	return nil
}

// moment reads a time of the API.
func moment(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, refusal(http.StatusBadRequest, "time_invalid", field,
			fmt.Sprintf("%q is not a time. Write it as 2026-11-24T09:30:00+01:00, with the zone", s))
	}
	return t, nil
}

// clock is nil for no time, so that it reads as null.
func clock(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
