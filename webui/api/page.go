package api

import (
	"context"
	"net/http"

	"tillpost/webui/api/wire"
)

// What the page shares with the API. The page has its own doors: it asks here
// only for somebody whose right it has looked at.

// As answers as to the operator at the socket, in the name of by: a person of
// the page.
func (a *API) As(by string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), operatorKey{}, by)))
	})
}

// Keys lists every key, without its text, newest first.
func (a *API) Keys() []wire.Key { return a.toldKeys() }

// CheckService refuses a service code that would change the subscription, or
// is none. Its error is a *wire.Problem.
func CheckService(code string) error { return serviceCode(code) }

// CheckPIN refuses what cannot be a PIN. Its error is a *wire.Problem.
func CheckPIN(pin string) error {
	if !pinForm.MatchString(pin) {
		return refusal(http.StatusBadRequest, "pin_invalid", "pin", "a PIN has 4 to 8 digits. It is on the card the SIM came in")
	}
	return nil
}
