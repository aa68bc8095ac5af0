#include "http/client.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "http/address.h"

namespace pgforeman {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace net = boost::asio;

namespace {

// The longest accepted answer; /status of 1,024 children is well under 2 MiB.
constexpr std::uint64_t kMaxAnswerBytes = 32u << 20;
constexpr std::uint32_t kMaxAnswerHeaderBytes = 64u << 10;
constexpr const char* kOtherHttp = "it does not speak HTTP as pgforeman does";

std::string explain(const beast::error_code& error, bool in_body) {
  if (error == http::error::body_limit) return "the answer is too long";
  if (error == http::error::partial_message && in_body) return "the answer was cut short";
  for (const auto no_http : {http::error::end_of_stream, http::error::partial_message,
                             http::error::header_limit, http::error::bad_version}) {
    if (error == no_http) return "it does not speak HTTP";
  }
  const bool parsing = error.category() == make_error_code(http::error::bad_field).category();
  return parsing ? kOtherHttp : error.message();
}

}  // namespace

std::vector<std::string> connectable_addresses(const std::string& listen_address) {
  boost::system::error_code error;
  const auto address = net::ip::make_address(listen_address, error);
  // An invalid address is reported by the caller's connect.
  if (error || !address.is_unspecified()) return {listen_address};
  if (address.is_v4()) return {"127.0.0.1"};
  return {"127.0.0.1", "::1"};
}

HttpAnswer http_get(const std::vector<std::string>& addresses, std::uint16_t port,
                    const std::string& target, Millis timeout) {
  TimePoint start = Clock::now();  // of the address being tried
  const TimePoint end = start + timeout;
  net::io_context io{1};
  beast::tcp_stream stream(io);
  http::response_parser<http::string_body> parser;
  parser.header_limit(kMaxAnswerHeaderBytes);
  parser.body_limit(kMaxAnswerBytes);
  std::string place, failed;
  const auto fail = [&](const std::string& why) {
    failed += (failed.empty() ? "no answer from " : "; no answer from ") + place + ": " + why;
  };
  // Runs one step until it ends or `until` is reached. Returns false, with the reason in `failed`.
  const auto finish = [&](TimePoint until, auto begin) {
    beast::error_code error;
    stream.expires_at(until);
    begin([&error](const beast::error_code& how, std::size_t = 0) { error = how; });
    io.restart();
    io.run();
    const auto waited = std::chrono::round<Millis>(until - start).count();
    if (error == beast::error::timeout) {
      fail("timed out after " + std::to_string(waited) + " ms");
    } else if (error) {
      fail(explain(error, parser.is_header_done()));
    }
    return !error;
  };

  bool connected = false;
  for (std::size_t i = 0; i < addresses.size() && !connected; ++i) {
    if (i > 0) start = Clock::now();
    place = address_and_port(addresses[i], port);
    beast::error_code error;
    const net::ip::tcp::endpoint to(net::ip::make_address(addresses[i], error), port);
    // The first address gets half of the time, so that the other one is tried: a firewall may drop
    // all packets of one family.
    const TimePoint until = i + 1 < addresses.size() ? start + timeout / 2 : end;
    if (error) fail(error.message());
    stream.close();  // of the previous address
    connected = !error && finish(until, [&](auto done) { stream.async_connect(to, done); });
  }
  if (!connected) throw HttpGetError(failed);
  failed.clear();
  http::request<http::empty_body> request{http::verb::get, target, 11};
  request.set(http::field::host, place);
  request.set(http::field::connection, "close");
  request.set(http::field::user_agent, "pgforeman");
  beast::flat_buffer buffer;
  bool whole = finish(end, [&](auto done) { http::async_write(stream, request, done); }) &&
               finish(end, [&](auto done) { http::async_read(stream, buffer, parser, done); });
  if (whole && parser.get().count(http::field::transfer_encoding) > 0) {
    whole = false;  // pgforeman never sends a Transfer-Encoding
    fail(kOtherHttp);
  }
  if (!whole) throw HttpGetError(failed);
  return {static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

}  // namespace pgforeman
