//! Stories of subscriptions in virtual time.
