#pragma once
// Faults of PostgreSQL and of the network between it and the fleets.

#include "faults/fault.h"

namespace pgforeman::test {

std::optional<Fault::Struck> stop_server(Stage& stage, Dice& dice);
std::optional<Fault::Struck> stop_server_immediately(Stage& stage, Dice& dice);
std::optional<Fault::Struck> kill_server(Stage& stage, Dice& dice);
std::optional<Fault::Struck> pause_server(Stage& stage, Dice& dice);

std::optional<Fault::Struck> end_sessions(Stage& stage, Dice& dice);
std::optional<Fault::Struck> cancel_statements(Stage& stage, Dice& dice);
std::optional<Fault::Struck> take_connections(Stage& stage, Dice& dice);
std::optional<Fault::Struck> read_only(Stage& stage, Dice& dice);
std::optional<Fault::Struck> serializable(Stage& stage, Dice& dice);
std::optional<Fault::Struck> lock_rows(Stage& stage, Dice& dice);
std::optional<Fault::Struck> damage_payload(Stage& stage, Dice& dice);
std::optional<Fault::Struck> refuse_changes(Stage& stage, Dice& dice);
std::optional<Fault::Struck> lock_table(Stage& stage, Dice& dice);
std::optional<Fault::Struck> lock_dead_letters(Stage& stage, Dice& dice);
std::optional<Fault::Struck> take_advisory_locks(Stage& stage, Dice& dice);
std::optional<Fault::Struck> hang_commits(Stage& stage, Dice& dice);
std::optional<Fault::Struck> hold_snapshot(Stage& stage, Dice& dice);
std::optional<Fault::Struck> migrate_again(Stage& stage, Dice& dice);

std::optional<Fault::Struck> hide_rows(Stage& stage, Dice& dice);
std::optional<Fault::Struck> set_ids_back(Stage& stage, Dice& dice);
std::optional<Fault::Struck> restore_dump(Stage& stage, Dice& dice);

std::optional<Fault::Struck> silence_network(Stage& stage, Dice& dice);
std::optional<Fault::Struck> reset_network(Stage& stage, Dice& dice);
std::optional<Fault::Struck> slow_network(Stage& stage, Dice& dice);
std::optional<Fault::Struck> kill_names(Stage& stage, Dice& dice);
std::optional<Fault::Struck> restart_pooler(Stage& stage, Dice& dice);

}  // namespace pgforeman::test
